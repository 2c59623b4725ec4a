/** ONNX backend cases through the importer and the interpreter, and the driver's own rules. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readTar } from '../../archive/tar.js';
import { buildModel, buildNode, buildValue } from '../build.js';
import { tensorProto, writeModel, writeTensor } from '../write.js';
import { type HostTensor, hostTensor, interpret } from './core.js';
import { type CaseResult, type Execute, runSuite } from './suite.js';
import { compareValues } from './suite-compare.js';

const byInterpreter: Execute = (graph, inputs, check) => interpret(graph, inputs, { check });

async function resultsOf(
  files: ReadonlyMap<string, Uint8Array>,
  execute: Execute,
): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  for await (const result of runSuite(files, execute)) results.push(result);
  return results;
}

const f32 = (values: readonly number[]): HostTensor => hostTensor('f32', [values.length], values);

function caseFiles(operator: string, answer: readonly number[]): Map<string, Uint8Array> {
  const model = buildModel({
    inputs: [buildValue('x', [2])],
    nodes: [buildNode(operator, ['x'], ['y'])],
    outputs: [buildValue('y', [2])],
  });
  const stored = (tensor: HostTensor): Uint8Array => writeTensor(tensorProto('', tensor));
  return new Map([
    ['root/node/test_one/model.onnx', writeModel(model)],
    ['root/node/test_one/test_data_set_0/input_0.pb', stored(f32([1, -2]))],
    ['root/node/test_one/test_data_set_0/output_0.pb', stored(f32(answer))],
  ]);
}

describe('outcomes', () => {
  it('tells passed, failed, refused and crashed apart', async () => {
    const [passed] = await resultsOf(caseFiles('Abs', [1, 2]), byInterpreter);
    expect(passed).toMatchObject({ name: 'node/test_one', outcome: 'passed', maxError: 0 });
    const [failed] = await resultsOf(caseFiles('Abs', [1, 3]), byInterpreter);
    expect(failed).toMatchObject({ outcome: 'failed', maxError: 1 });
    expect(failed?.reason).toContain('element 1 is 2, not 3');
    const [refused] = await resultsOf(caseFiles('Strange', [1, 2]), byInterpreter);
    expect(refused).toMatchObject({ outcome: 'refused' });
    expect(refused?.reason).toContain('Strange');
    const [crashed] = await resultsOf(caseFiles('Abs', [1, 2]), () => {
      throw new Error('the device is gone');
    });
    expect(crashed).toMatchObject({ outcome: 'crashed', reason: 'the device is gone' });
  });

  it('compares dtypes and shapes exactly, NaN with NaN', () => {
    const value = (tensor: HostTensor) => ({ kind: 'tensor', tensor }) as const;
    const same = compareValues(value(f32([Number.NaN, 1])), value(f32([Number.NaN, 1.0009])));
    expect(same.difference).toBe('');
    expect(compareValues(value(f32([1])), value(f32([1, 1]))).difference).toContain('shape');
    const other = hostTensor('f64', [1], [1]);
    expect(compareValues(value(other), value(f32([1]))).difference).toContain('f64');
  });
});

const archive = join(process.env['CLAW_TEST_DATA'] ?? '', 'onnx-conformance.tar.gz');
const present = process.env['CLAW_TEST_DATA'] !== undefined && existsSync(archive);

describe.skipIf(!present)('the ONNX suite (set CLAW_TEST_DATA to its folder)', () => {
  it('fails and crashes nowhere, and at most 1 % is disputed', { timeout: 600_000 }, async () => {
    const files = readTar(readFileSync(archive), {}, 'onnx-conformance.tar.gz');
    const results = await resultsOf(files, byInterpreter);
    const wrong = results.filter(({ outcome }) =>
      ['failed', 'crashed', 'timeout'].includes(outcome),
    );
    expect(wrong).toEqual([]);
    const count = (outcome: string): number =>
      results.filter((each) => each.outcome === outcome).length;
    expect(count('disputed')).toBeLessThanOrEqual(results.length / 100);
    expect(count('passed')).toBeGreaterThan(1300);
  });
});
