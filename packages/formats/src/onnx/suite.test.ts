/** All models and values of the ONNX backend suite, where CLAW_TEST_DATA names its folder. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeOf, mutate, randomIntegers } from '../base/testing.js';
import {
  dtypeOfNumber,
  type ModelProto,
  type OnnxValue,
  readModel,
  readTar,
  readValue,
  type ValueType,
  validateModel,
  writeModel,
} from '../index.js';

const folder = process.env['CLAW_TEST_DATA'] ?? '';
const archive = join(folder, 'onnx-conformance.tar.gz');
const present = folder !== '' && existsSync(archive);

function check(value: OnnxValue, type: ValueType): void {
  if (value.kind === 'tensor') {
    if (type.kind !== 'tensor') throw new Error(`a tensor where ${type.kind} is declared`);
    expect(value.tensor.dtype).toBe(dtypeOfNumber(type.dataType));
  } else {
    expect(value.kind).toBe(type.kind);
  }
}

describe.skipIf(!present)('the ONNX suite (set CLAW_TEST_DATA to its folder)', () => {
  it('reads, validates and writes back every model, and reads every stored value', () => {
    const files = readTar(readFileSync(archive), {}, 'onnx-conformance.tar.gz');
    const models = new Map<string, ModelProto>();
    const problems: string[] = [];
    for (const [name, bytes] of files) {
      if (!name.endsWith('model.onnx')) continue;
      try {
        const model = readModel(bytes, {}, name);
        validateModel(model, { fileName: name });
        expect(readModel(writeModel(model), {}, name)).toEqual(model);
        models.set(name.slice(0, -'model.onnx'.length), model);
      } catch (error) {
        problems.push(`${name}: ${error instanceof Error ? error.message : error}`);
      }
    }
    let values = 0;
    for (const [name, bytes] of files) {
      const match = /^(.*\/)test_data_set_\d+\/(input|output)_(\d+)\.pb$/.exec(name);
      if (match === null) continue;
      const graph = models.get(match[1] as string)?.graph;
      const given = new Set(graph?.initializers.map((each) => each.name));
      const inputs = graph?.inputs.filter((each) => !given.has(each.name));
      const list = match[2] === 'input' ? inputs : graph?.outputs;
      const type = list?.[Number(match[3])]?.type;
      try {
        if (type === undefined || type === null) throw new Error('no declared type');
        check(readValue(bytes, type, {}, name), type);
        values += 1;
      } catch (error) {
        problems.push(`${name}: ${error instanceof Error ? error.message : error}`);
      }
    }
    expect(problems).toEqual([]);
    expect(models.size).toBe(2303);
    expect(values).toBeGreaterThan(7000);
  });

  it('refuses or reads mutated models of the suite, never failing otherwise', () => {
    const random = randomIntegers(2024);
    let count = 0;
    let refusals = 0;
    for (const [name, bytes] of readTar(readFileSync(archive))) {
      if (!name.endsWith('model.onnx')) continue;
      for (let round = 0; round < 3; round++) {
        const mutant = mutate(bytes, random, 4, 8);
        const code = codeOf(() => validateModel(readModel(mutant), {}));
        count += 1;
        if (code !== 'no error') refusals += 1;
      }
    }
    expect(count).toBe(3 * 2303);
    expect(refusals).toBeGreaterThan(count / 4);
  });

  it('reads and validates the whole models beside it', () => {
    let count = 0;
    for (const each of readdirSync(join(folder, 'data'), { recursive: true })) {
      const name = String(each);
      if (!name.endsWith('.onnx')) continue;
      validateModel(readModel(readFileSync(join(folder, 'data', name)), {}, name));
      count += 1;
    }
    expect(count).toBeGreaterThan(9);
  });
});
