/** Another engine on the same model and inputs, where its package is installed. */
import { failure, type HostTensor, valuesOf } from '@open-claw/core/internal';
import { quantile } from './measure.js';

export interface Peer {
  readonly peer: string;
  readonly medianMs: number;
}

/** The little that is used of onnxruntime-node. */
interface Runtime {
  readonly InferenceSession: {
    create(model: Uint8Array | string, options: object): Promise<Session>;
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown;
}
interface Session {
  run(inputs: Readonly<Record<string, unknown>>): Promise<unknown>;
  release?(): Promise<void>;
}

const typeNames: Readonly<Record<string, string>> = {
  f32: 'float32',
  f64: 'float64',
  f16: 'float16',
  i64: 'int64',
  i32: 'int32',
  i16: 'int16',
  i8: 'int8',
  u64: 'uint64',
  u32: 'uint32',
  u16: 'uint16',
  u8: 'uint8',
  bool: 'bool',
  string: 'string',
};

/** Not a dependency: computed, so that nothing looks for it when the package is built. */
const packageName = ['onnxruntime', 'node'].join('-');

/** Throws OC-USAGE-05 where the package is not installed. */
export async function loadPeer(): Promise<Runtime> {
  try {
    const module = (await import(packageName)) as Runtime & { readonly default?: Runtime };
    return module.default ?? module;
  } catch (cause) {
    throw failure('OC-USAGE-05', { name: packageName }, { kind: 'unavailable', cause });
  }
}

/** Median of as many runs as ours had, with the same number of threads. */
export async function measurePeer(
  runtime: Runtime,
  path: string,
  inputs: ReadonlyMap<string, HostTensor>,
  runs: number,
  threads: number,
): Promise<Peer> {
  const session = await runtime.InferenceSession.create(path, { intraOpNumThreads: threads });
  const feeds: Record<string, unknown> = Object.create(null);
  for (const [name, tensor] of inputs) {
    const type = typeNames[tensor.dtype];
    const data = tensor.dtype === 'string' ? valuesOf(tensor) : tensor.data;
    feeds[name] = new runtime.Tensor(type ?? tensor.dtype, data, tensor.shape);
  }
  await session.run(feeds);
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await session.run(feeds);
    times.push(performance.now() - start);
  }
  await session.release?.();
  const sorted = times.sort((a, b) => a - b);
  return { peer: packageName, medianMs: quantile(sorted, 0.5) };
}
