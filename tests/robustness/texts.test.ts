/** Text from a model reaches no source: hostile and plain names give the same bytes everywhere. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compile, isFailure, load, openDevice, use } from '@open-claw/core';
import { nativeDevice } from '@open-claw/device-native';
import {
  buildGraph,
  buildNode,
  buildValue,
  importModel,
  readModel,
  tensorProto,
  writeModel,
} from '@open-claw/formats';
import { closeDevices } from '@open-claw/openclaw';
import { afterAll, describe, expect, it } from 'vitest';
import { knownTargets } from '../../packages/openclaw/src/targets.js';
import { buildModelWith, int, ints, text } from './bad-models.js';
import { temporary } from './commands.js';

/** A mark that nobody would write by chance, inside text of four languages and of the shell. */
const mark = 'zq7hostile';
const hostile = [
  `*/ system("${mark}"); /*`,
  `"; process.exit(9); // ${mark}`,
  `\n#include "/etc/passwd" ${mark}\n`,
  `@compute fn ${mark}() {}`,
  `$(touch /tmp/${mark})\`${mark}\``,
  `\\u002a/ \u2028 ${mark} ??/`,
  `'; rm -rf ${mark}; '`,
  `__asm__("${mark}")`,
];

/** A model with kernels of many kinds; `word` names everything that a file can name. */
function modelWith(word: (index: number) => string): Uint8Array {
  const w = Array.from({ length: 24 }, (_, i) => word(i));
  const at = (i: number): string => w[i] as string;
  const weights = tensorProto(at(1), {
    dtype: 'f32',
    shape: [4, 6],
    data: Float32Array.from({ length: 24 }, (_, i) => i / 24),
  });
  const half = tensorProto(at(2), { dtype: 'f32', shape: [1], data: Float32Array.of(0.5) });
  const named = (i: number) => ({ name: at(i), docString: at(i + 1), metadata: entry(at(i)) });
  const branch = (op: string, i: number) =>
    buildGraph({
      name: at(i),
      docString: at(i),
      nodes: [buildNode(op, [at(5)], [at(i)], [], named(3))],
      outputs: [buildValue(at(i), null)],
    });
  const local = { domain: at(20), overload: at(21) };
  const nodes = [
    buildNode('MatMul', [at(0), at(1)], [at(3)], [], named(4)),
    buildNode(at(22), [at(3)], [at(4)], [text(at(19), at(18))], { ...named(5), ...local }),
    buildNode('Softmax', [at(4)], [at(5)], [int('axis', -1)], named(6)),
    buildNode('ReduceSum', [at(5)], [at(6)], [int('keepdims', 0)], named(7)),
    buildNode('Greater', [at(6), at(2)], [at(7)], [], named(8)),
    buildNode('Squeeze', [at(7)], [at(17)], [], named(8)),
    buildNode(
      'If',
      [at(17)],
      [at(8)],
      [
        { name: 'then_branch', kind: 'graph', value: branch('Exp', 10) },
        { name: 'else_branch', kind: 'graph', value: branch('Neg', 11) },
      ],
      named(9),
    ),
    buildNode('Transpose', [at(8)], [at(9)], [ints('perm', 1, 0)], named(10)),
    buildNode('CumSum', [at(9), at(13)], [at(12)], [], named(11)),
  ];
  const axis = tensorProto(at(13), { dtype: 'i64', shape: [], data: BigInt64Array.of(0n) });
  const body = {
    name: at(22),
    ...local,
    docString: at(2),
    inputs: [at(0)],
    outputs: [at(1)],
    attributeNames: [at(19)],
    attributeDefaults: [],
    nodes: [buildNode('Sigmoid', [at(0)], [at(1)], [], named(0))],
    opsetImport: [{ domain: '', version: 21 }],
    valueInfo: [],
    metadata: entry(at(3)),
  };
  const graph = {
    name: at(14),
    docString: at(15),
    nodes,
    inputs: [buildValue(at(0), [at(16), 4])],
    outputs: [buildValue(at(12), [6, at(16)])],
    initializers: [weights, half, axis],
    metadata: entry(at(2)),
  };
  return buildModelWith(graph, {
    producerName: at(1),
    producerVersion: at(2),
    domain: at(3),
    docString: at(4),
    functions: [body],
    metadata: entry(at(5)),
    opsetImport: [
      { domain: '', version: 21 },
      { domain: at(20), version: 1 },
    ],
  });
}

const entry = (value: string) => [{ key: value, value }];
const plainBytes = modelWith((i) => `v${i}`);
const hostileBytes = modelWith((i) => `${hostile[i % hostile.length]} ${i}`);
const graphs = [plainBytes, hostileBytes].map((bytes) => importModel(readModel(bytes)).graph);

use(nativeDevice());
afterAll(closeDevices);

const targets = await knownTargets();

describe.each([...targets.keys()])('for %s', (id) => {
  it('gives the same source whatever the names are', (context) => {
    const { target, language } = targets.get(id)!;
    const programs = graphs.map((graph) => {
      try {
        return compile(graph!, target, language);
      } catch (error) {
        if (isFailure(error) && error.kind === 'refused') return error;
        throw error;
      }
    });
    const [plain, marked] = programs;
    if (isFailure(plain)) {
      expect(isFailure(marked)).toBe(true);
      context.skip(`refused there: ${plain.what.slice(0, 60)}`);
    }
    if (isFailure(plain) || isFailure(marked)) throw marked;
    expect(marked?.source).toEqual(plain?.source);
    const { text: source = '', bytes = new Uint8Array(0) } = marked?.source ?? {};
    expect(source.length + bytes.length).toBeGreaterThan(100);
    expect(source + Buffer.from(bytes).toString('latin1')).not.toContain(mark);
    expect(JSON.stringify(marked?.source?.entries)).not.toContain(mark);
  });
});

it('gives the same files of the cache, without a trace of the names', async (context) => {
  const folder = temporary();
  try {
    const plugin = nativeDevice({ cache: folder });
    const found = (await plugin.probe())[0];
    if (found === undefined || !('target' in found)) return context.skip('no C compiler is here');
    const opened = await openDevice('native');
    const files = async (bytes: Uint8Array): Promise<readonly string[]> => {
      const { graph } = importModel(readModel(bytes));
      const program = compile(graph, found.target, plugin.language);
      if (program.source === undefined) throw new Error('nothing to compile');
      const binary = await plugin.compile(program.source, found.target);
      expect(Buffer.from(binary.bytes).includes(mark)).toBe(false);
      return readdirSync(join(folder, 'native')).sort();
    };
    const before = await files(plainBytes);
    expect(await files(hostileBytes)).toEqual(before);
    for (const name of before) {
      expect(name).toMatch(/^[0-9a-f]{64}\.\w+$/);
      expect(readFileSync(join(folder, 'native', name)).includes(mark)).toBe(false);
    }
    // The numbers are the same too.
    const x = {
      dtype: 'f32',
      shape: [2, 4],
      data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    } as const;
    const results = [];
    for (const graph of graphs) {
      const program = compile(graph!, opened.target, opened.plugin.language);
      const executable = await load(program, opened);
      results.push(await executable.run([x]));
      await executable.dispose();
    }
    expect(results[1]).toEqual(results[0]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('the file itself holds the hostile text', () => {
  expect(Buffer.from(hostileBytes).includes(mark)).toBe(true);
  expect(writeModel(readModel(hostileBytes))).toEqual(hostileBytes);
});
