/** `claw run MODEL`: one run, its outputs, and what it cost. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HostTensor, isFailure, readElement } from '@open-claw/core/face';
import { dtypeFacts, failure, isFloat, valuesOf } from '@open-claw/core/internal';
import { writeNpy } from '@open-claw/formats';
import { loadModel } from '../../model/load.js';
import type { Model, ModelInputs, ModelOutputs } from '../../model/model.js';
import type { Context } from '../context.js';
import { gatherInputs } from '../input/gather.js';
import type { GivenOptions, ParsedOptions } from '../options.js';
import { withProgress } from '../progress.js';
import type { CommandResult } from '../result.js';
import { bytesText, factLines, msText, shapeText, tableText } from '../table.js';

/** Elements of the largest output whose numbers are in the JSON. */
const mostElements = 10_000;

export async function run(
  source: string,
  given: GivenOptions,
  options: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  const { signal } = context;
  const model = await withProgress(context, (onProgress) =>
    loadModel(source, { ...options.load, signal, onProgress }),
  );
  try {
    const inputs = gatherInputs(model.inputs, given, context.texts);
    const limit = options.timeLimit === undefined ? {} : { timeLimit: options.timeLimit };
    const start = performance.now();
    const outputs = await model.run(inputs, { signal, ...limit });
    const ms = performance.now() - start;
    const files = given.out === undefined ? undefined : writeOutputs(given.out, outputs);
    return resultOf(model, inputs, outputs, ms, files, context);
  } finally {
    await model.dispose();
  }
}

function resultOf(
  model: Model,
  inputs: ModelInputs,
  outputs: ModelOutputs,
  ms: number,
  files: Readonly<Record<string, string>> | undefined,
  { texts }: Context,
): CommandResult {
  const { fallbacks, peakBytes, backend } = model;
  const shown = named(outputs, (tensor) => {
    const { dtype, shape } = tensor;
    const isSmall = tensor.data.length <= mostElements;
    return { dtype, shape, ...(isSmall ? { data: numbersOf(tensor) } : {}) };
  });
  const json = {
    inputs: model.inputs.map(({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
      given: shapeOf(inputs[name]),
    })),
    outputs: shown,
    ...(files === undefined ? {} : { files }),
    fallbacks: fallbacks.map(({ op, node, reason }) => ({ op, node, reason, ms: null })),
    peakBytes,
    ms,
  };
  const rows = Object.entries(outputs).map(([name, tensor]) => [
    name,
    tensor.dtype,
    shapeText(tensor.shape),
    preview(tensor),
  ]);
  const lines = fallbacks.map(({ op, node, reason }) => `${op} ${node}: ${reason}`);
  const text = [
    tableText([texts.outputs, texts.dtype, texts.shape, texts.values], rows),
    factLines([
      [texts.device, `${backend.device} (${backend.driver}, ${backend.evidence})`],
      [texts.time, msText(ms)],
      [texts.peak, bytesText(peakBytes)],
      [texts.fallbacks, lines.length === 0 ? texts.none : lines.join('\n')],
    ]),
  ].join('\n');
  return { facts: backend, json, text };
}

/** Names come from the model: no prototype that one could reach. */
function named<T>(outputs: ModelOutputs, make: (tensor: HostTensor) => T): Record<string, T> {
  const made: Record<string, T> = Object.create(null);
  for (const [name, tensor] of Object.entries(outputs)) made[name] = make(tensor);
  return made;
}

const shapeOf = (value: unknown): readonly number[] | undefined =>
  typeof value === 'object' && value !== null && 'shape' in value
    ? (value.shape as readonly number[])
    : undefined;

/** As the JSON reader of tensors takes them again: exact, bools as such. */
export function numbersOf(tensor: HostTensor): readonly unknown[] {
  const values = valuesOf(tensor);
  return tensor.dtype === 'bool' ? values.map((value) => value === 1) : values;
}

function preview(tensor: HostTensor): string {
  const count = Math.min(tensor.data.length, 6);
  const shown = Array.from({ length: count }, (_, i) => {
    const value = readElement(tensor, i);
    if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
    return isFloat(tensor.dtype) ? String(Number(Number(value).toPrecision(6))) : String(value);
  });
  const rest = tensor.data.length > count ? ', …' : '';
  return `${shown.join(', ')}${rest}${rangeText(tensor)}`;
}

function rangeText(tensor: HostTensor): string {
  if (dtypeFacts[tensor.dtype].kind !== 'float' || tensor.data.length < 2) return '';
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < tensor.data.length; i++) {
    const value = Number(readElement(tensor, i));
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return `\n${low.toPrecision(4)} … ${high.toPrecision(4)}`;
}

/** Writes every output as .npy; gives the files by output. Throws OC-USAGE-04. */
function writeOutputs(folder: string, outputs: ModelOutputs): Readonly<Record<string, string>> {
  const files: Record<string, string> = Object.create(null);
  const taken = new Set<string>();
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, tensor] of Object.entries(outputs)) {
      const path = join(folder, `${freeName(name, taken)}.npy`);
      writeFileSync(path, writeNpy(tensor));
      files[name] = path;
    }
  } catch (cause) {
    if (isFailure(cause)) throw cause;
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw failure('OC-USAGE-04', { path: folder, reason }, { kind: 'usage', cause });
  }
  return files;
}

/** A name from a model as a plain file name, different from those taken. */
function freeName(name: string, taken: Set<string>): string {
  const plain =
    name
      .replace(/[^\w.-]/g, '_')
      .replace(/^[.-]+/, '_')
      .slice(0, 100) || 'output';
  let free = plain;
  for (let i = 2; taken.has(free.toLowerCase()); i++) free = `${plain}_${i}`;
  taken.add(free.toLowerCase());
  return free;
}
