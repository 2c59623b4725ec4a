/** What the JavaScript engine around us can do, found by trying. */
import type { Target, TileProgram } from '@open-claw/core/device/contract';
import { wasmLanguage } from '@open-claw/core/device/wasm';
import { entryFunctions } from './memory.js';
import { isWide, targets } from './target.js';
import { wideMemory, widthOfEngine } from './wide.js';

const at = (buffer: string) => ({ buffer, address: 0, strides: [1] });

/** d = a · b + c on one vector, or one element for scalar code. */
function multiplyAddProgram(target: Target): TileProgram {
  const lanes = target.vectorBytes / 4 || 1;
  const type = { dtype: 'f32', shape: [lanes] } as const;
  const buffers = ['a', 'b', 'c', 'd'];
  return {
    contract: 1,
    name: 'probe',
    target: target.id,
    lanes,
    group: 1,
    buffers: buffers.map((name) => ({ name, memory: 'f32', access: 'readWrite' })),
    sizes: [],
    indexType: 'i32',
    scratch: [],
    grid: [],
    body: [
      ...[0, 1, 2].map(
        (id) =>
          ({
            kind: 'let',
            id,
            type,
            operation: { kind: 'load', access: at(buffers[id] as string) },
          }) as const,
      ),
      { kind: 'let', id: 3, type, operation: { kind: 'multiplyAdd', a: 0, b: 1, c: 2 } },
      { kind: 'store', access: at('d'), value: 3 },
    ],
    mayFail: false,
  };
}

/** (1 + e)(1 − e) − 1 for e = 2⁻¹³: −2⁻²⁶ with one rounding, 0 with two; undefined if invalid. */
async function residual(target: Target): Promise<number | undefined> {
  const { bytes } = wasmLanguage.emit([multiplyAddProgram(target)], target);
  const code = bytes as Uint8Array<ArrayBuffer>;
  if (!WebAssembly.validate(code)) return undefined;
  const wide = isWide(target);
  const memory = wide ? wideMemory(2, 2, false) : new WebAssembly.Memory({ initial: 2 });
  const { instance } = await WebAssembly.instantiate(code, { env: { memory } });
  const start = 65536;
  const e = 2 ** -13;
  const addresses = [start, start + 16, start + 32, start + 48];
  if (wide) new BigInt64Array(memory.buffer, 0, 4).set(addresses.map(BigInt));
  else new Uint32Array(memory.buffer, 0, 4).set(addresses);
  new Float32Array(memory.buffer, start, 12).set(
    [1 + e, 1 - e, -1].flatMap((value) => new Array<number>(4).fill(value)),
  );
  entryFunctions(instance.exports, wide)['probe']?.(0, 0, 0, 0n, 1n);
  return new Float32Array(memory.buffer, start + 48, 1)[0];
}

/** The rows with wide or narrow addresses that this engine runs, fastest last. */
export async function availableTargets(wide: boolean): Promise<readonly Target[]> {
  if (typeof WebAssembly === 'undefined') return [];
  if (wide && widthOfEngine() === 'none') return [];
  const tried = targets.filter((target) => isWide(target) === wide);
  const results = await Promise.all(
    tried.map(async (target) => {
      const found = await residual(target);
      // A relaxed multiply-add that rounds twice is not what its row says.
      const kept = target.fusedMultiplyAdd ? found === -(2 ** -26) : found !== undefined;
      return kept ? [target] : [];
    }),
  );
  return results.flat();
}

/** The engine's name and version as far as it tells. */
export function engineName(): string {
  const { process, navigator } = globalThis as {
    process?: { versions?: { v8?: string; node?: string } };
    navigator?: { userAgent?: string };
  };
  const versions = process?.versions;
  if (versions?.v8 !== undefined) return `V8 ${versions.v8}, Node.js ${versions.node ?? ''}`.trim();
  return navigator?.userAgent ?? 'unknown engine';
}
