/** The inputs of one run: from files, and random ones where the user asks for them. */
import { hostTensor } from '@open-claw/core/face';
import { failure, quoteText } from '@open-claw/core/internal';
import type { ModelInputs } from '../../model/model.js';
import type { ModelPort } from '../../model/ports.js';
import { type InputValue, randomTensor } from '../../model/values.js';
import { type GivenOptions, parseCount, parsePair } from '../options.js';
import type { Texts } from '../text.js';
import { readInput } from './read.js';

/** Throws OC-INPUT-02 … 05. */
export function gatherInputs(
  ports: readonly ModelPort[],
  given: GivenOptions,
  texts: Texts,
): ModelInputs {
  const inputs: Record<string, InputValue> = Object.create(null);
  for (const each of given.input ?? []) {
    const [name, file] = parsePair('--input', each, 'FILE', texts);
    const port = ports.find((candidate) => candidate.name === name);
    if (port === undefined) {
      const known = ports.map((candidate) => quoteText(candidate.name)).join(', ');
      throw failure('OC-INPUT-02', { name, known }, { kind: 'usage' });
    }
    inputs[name] = readInput(file, port);
  }
  if (given.random === undefined) return inputs;
  return {
    ...inputs,
    ...randomInputs(ports, inputs, parseCount('--random', given.random, 0, texts)),
  };
}

/** Every input that is not there yet; each has its own stream of the seed. */
export function randomInputs(
  ports: readonly ModelPort[],
  given: ModelInputs,
  seed: number,
): ModelInputs {
  const inputs: Record<string, InputValue> = Object.create(null);
  const missing = ports.filter(
    ({ name, kind }) => !Object.hasOwn(given, name) && kind !== 'optional',
  );
  missing.forEach((port, i) => {
    inputs[port.name] = randomTensor(port, seed * 1009 + i, hostTensor);
  });
  return inputs;
}
