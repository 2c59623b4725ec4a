/** `claw conform`: the exam of a device; with --onnx the ONNX backend cases. */
import {
  conform as conformSuite,
  isClean,
  runExam,
  type SuiteReport,
} from '@open-claw/conformance';
import { factsOf, openBackend } from '../../devices/choose.js';
import { pluginAddresses, usePlugins, wantedIds } from '../../devices/plugins.js';
import type { Context } from '../context.js';
import { type GivenOptions, type ParsedOptions, parsePattern, usage } from '../options.js';
import { progressBar } from '../progress.js';
import type { CommandResult } from '../result.js';
import { factLines, tableText } from '../table.js';
import { fill } from '../text.js';

export async function conform(
  given: GivenOptions,
  options: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  const { load, timeLimit } = options;
  const { texts, signal } = context;
  await usePlugins(load);
  const ids = wantedIds(load);
  if (ids.length > 1) throw usage(fill(texts.manyDevices, { name: '--device' }));
  const backend = await openBackend(ids);
  const facts = factsOf(backend);
  const filter =
    given.filter === undefined ? undefined : parsePattern('--filter', given.filter, texts);
  const bar = progressBar(context, 'conform');
  const listen = { onStart: bar.total, onCase: bar.step };
  const narrowed = filter === undefined ? {} : { filter };
  try {
    if (given.onnx === undefined) {
      if (backend.kind === 'interpreter') {
        throw usage(
          fill(texts.notChoice, { name: '--device', value: 'interpreter', choices: 'ID' }),
        );
      }
      const report = await runExam(backend.opened.plugin, {
        device: backend.opened.id,
        ...narrowed,
        ...listen,
      });
      return resultOf(report, facts, context);
    }
    const report = await conformSuite({
      suite: given.onnx,
      device: facts.device,
      plugins: pluginAddresses(),
      signal,
      ...narrowed,
      ...listen,
      ...(timeLimit === undefined ? {} : { timeLimit }),
    });
    return resultOf(report, facts, context);
  } finally {
    bar.stop();
  }
}

function resultOf(
  report: SuiteReport,
  facts: CommandResult['facts'],
  { texts }: Context,
): CommandResult {
  if (report.total === 0) throw usage(texts.noSuite);
  const bad = report.cases.filter(({ outcome }) =>
    ['failed', 'crashed', 'timeout'].includes(outcome),
  );
  const rows = bad.map(({ name, outcome, reason }) => [name, texts[outcome], reason ?? '']);
  const text = [
    rows.length === 0 ? '' : `${tableText([texts.cases, texts.outcome, texts.reason], rows)}\n`,
    factLines([
      [texts.device, `${facts.device} (${facts.driver}, ${facts.evidence})`],
      [texts.total, report.total],
      [texts.passed, report.passed],
      [texts.failed, report.failed],
      [texts.refused, report.refused],
      [texts.disputed, report.disputed],
      [texts.crashed, report.crashed],
      [texts.timeout, report.timeout],
    ]),
  ].join('');
  return { facts, json: { ...report }, text, exit: isClean(report) ? 0 : 1 };
}
