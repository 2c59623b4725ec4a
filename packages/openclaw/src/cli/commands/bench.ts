/** `claw bench MODEL…`: times, checked answers, and the share of the device's own limit. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename } from 'node:path';
import type { OpenDevice } from '@open-claw/core/face';
import { failure, type HostTensor } from '@open-claw/core/internal';
import { flattenInputs } from '@open-claw/formats';
import { loadPeer, measurePeer } from '../../bench/against.js';
import { checkOutputs } from '../../bench/check.js';
import { measureRuns, shareOf, workOf } from '../../bench/measure.js';
import { measurePeaks } from '../../bench/peak.js';
import { chromeTrace, type TracedRun } from '../../bench/trace.js';
import { type Backend, factsOf, openBackend } from '../../devices/choose.js';
import { usePlugins, wantedIds } from '../../devices/plugins.js';
import { readSource } from '../../model/load.js';
import type { Model } from '../../model/model.js';
import { makeModel } from '../../model/options.js';
import { tunedOptions } from '../../model/tuning-file.js';
import type { Context } from '../context.js';
import { gatherInputs, randomInputs } from '../input/gather.js';
import { choice, type GivenOptions, type ParsedOptions, parseCount } from '../options.js';
import { progressBar } from '../progress.js';
import type { CommandResult } from '../result.js';
import { msText, tableText } from '../table.js';

/** Inputs that the user does not give are random ones of this seed. */
const usualSeed = 1;

export async function bench(
  sources: readonly string[],
  given: GivenOptions,
  options: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  const { texts } = context;
  const against = given.against;
  if (against !== undefined) choice('--against', against, ['ort'], texts);
  const peer = against === undefined ? undefined : await loadPeer();
  await usePlugins(options.load);
  const ids = wantedIds(options.load);
  const backends: Backend[] = [];
  for (const each of ids.length === 0 ? [[]] : ids.map((id) => [id])) {
    backends.push(await openBackend(each));
  }
  const bar = progressBar(context, 'bench');
  bar.total(sources.length * backends.length);
  const results: Row[] = [];
  const traced: TracedRun[] = [];
  try {
    for (const source of sources) {
      for (const backend of backends) {
        results.push(await benchOne(source, backend, { given, options, context, peer, traced }));
        bar.step();
      }
    }
  } finally {
    bar.stop();
  }
  if (given.trace !== undefined) {
    writeFileSync(given.trace, `${JSON.stringify(chromeTrace(traced))}\n`);
  }
  const wrong = results.some(({ wrongBecause }) => wrongBecause !== undefined);
  const [first] = backends as [Backend, ...Backend[]];
  return {
    facts: factsOf(first),
    json: { results },
    text: textOf(results, context),
    exit: wrong ? 1 : 0,
  };
}

interface Setting {
  readonly given: GivenOptions;
  readonly options: ParsedOptions;
  readonly context: Context;
  readonly peer: Awaited<ReturnType<typeof loadPeer>> | undefined;
  /** Takes the times of the launches. */
  readonly traced: TracedRun[];
}

type Row = Awaited<ReturnType<typeof benchOne>>;

async function benchOne(source: string, backend: Backend, setting: Setting) {
  const { given, options, context, peer, traced } = setting;
  if (backend.kind === 'interpreter') {
    throw failure(
      'OC-REFUSED-01',
      {
        subject: 'device interpreter',
        reason: 'it is the reference, not a device to measure',
      },
      { kind: 'refused' },
    );
  }
  const { opened } = backend;
  const { proto, name } = await readSource(source, options.load);
  const started = performance.now();
  const model = await makeModel(proto, backend, tunedOptions(proto, backend, options.load), name);
  try {
    const { inputs, tensors, prepared } = await prepareRun(model, given, context);
    const compileMs = performance.now() - started;
    const { executable, imported, program } = prepared;
    const { signal } = context;
    const { times, outputs } = await measureRuns(executable, tensors, {
      signal,
      ...(given.runs === undefined
        ? {}
        : { runs: parseCount('--runs', given.runs, 1, context.texts) }),
      ...(options.timeLimit === undefined ? {} : { timeLimit: options.timeLimit }),
    });
    if (program === undefined) throw new Error('a device has a program');
    const { steps, ...work } = await workOf(program, executable, tensors);
    traced.push({ model: name, device: opened.id, steps });
    const peaks = await measurePeaks(opened, work.bytes);
    const { checked, maxError, reason } = checkOutputs(
      imported.graph,
      tensors,
      outputs,
      work.flops,
    );
    const threads = opened.target.cores;
    const other =
      peer === undefined ? undefined : await measurePeer(peer, source, inputs, times.runs, threads);
    return {
      model: name,
      sha256: sha256Of(source),
      ...deviceFacts(opened),
      threads,
      sizes: { ...options.load.sizes },
      precision: options.load.precision ?? 'highest',
      compileMs,
      ...times,
      ...work,
      ...shareOf(work, peaks, times.medianMs),
      maxError,
      checked,
      ...(reason === '' ? {} : { wrongBecause: reason }),
      machine: `${cpus()[0]?.model.trim() ?? process.arch}, ${cpus().length}`,
      commit: commitOf(),
      ...(other === undefined
        ? {}
        : { against: { ...other, ratio: other.medianMs / times.medianMs } }),
    };
  } finally {
    await model.dispose();
  }
}

async function prepareRun(model: Model, given: GivenOptions, context: Context) {
  const files = gatherInputs(model.inputs, given, context.texts);
  const inputs = { ...files, ...randomInputs(model.inputs, files, usualSeed) };
  const values = await model.valuesOf(inputs);
  const prepared = await model.programFor(inputs);
  const tensors = flattenInputs(prepared.imported, values);
  const named = new Map<string, HostTensor>();
  for (const [name, value] of values) {
    if (value.kind === 'tensor') named.set(name, value.tensor);
  }
  return { inputs: named, tensors, prepared };
}

const deviceFacts = ({ id, evidence, found }: OpenDevice) => ({
  device: id,
  driver: found.driver,
  evidence,
});

function sha256Of(path: string): string | null {
  if (!existsSync(path)) return null;
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** The commit of the working folder; null outside of a repository. */
function commitOf(): string | null {
  try {
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    return execFileSync('git', ['rev-parse', 'HEAD'], { stdio, encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

const wrongText = ({ wrongBecause }: Row, word: string): string =>
  wrongBecause === undefined ? '' : `\n${word}: ${wrongBecause}`;

function textOf(results: readonly Row[], { texts }: Context): string {
  const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;
  const rows = results.map((row) => [
    basename(row.model),
    `${row.device} (${row.evidence}), ${row.threads}`,
    `${msText(row.medianMs)}\n${texts.least} ${msText(row.minMs)}, p90 ${msText(row.p90Ms)}`,
    percent(row.spread),
    `${row.rate.toPrecision(4)} ${row.unit}\n${row.limit.toPrecision(4)}: ${row.limitName}`,
    percent(row.share),
    [`${row.maxError?.toExponential(1) ?? ''} ${row.checked}`, wrongText(row, texts.failed)].join(
      '',
    ),
    row.against === undefined ? '' : `${row.against.ratio.toFixed(2)} × ${row.against.peer}`,
  ]);
  const head = [
    texts.model_,
    `${texts.device}, ${texts.threads}`,
    texts.median,
    texts.spread,
    `${texts.rate}, ${texts.limit}`,
    texts.share,
    texts.error,
    '',
  ];
  return tableText(head, rows);
}
