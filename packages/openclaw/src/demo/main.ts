/** The demonstration (`npm start`): draw, train, compare the devices, say what to try next. */
import { closeDevices, setDevice, use } from '@open-claw/core/face';
import { plugin as template } from '@open-claw/device-template';
import progress from 'cli-progress';
import colors from 'picocolors';
import { msText, tableText } from '../cli/table.js';
import { openBackend } from '../devices/choose.js';
import { usePlugins, wantedIds } from '../devices/plugins.js';
import { applyEnvironment, languageOf } from '../environment.js';
import { compareDevices, type Outcome } from './compare.js';
import { draw, textArt } from './drawing.js';
import { type DemoTexts, demoTexts, fillText } from './text.js';
import { accuracyOn, stepsFor, train, weightCount } from './train.js';

const trainCount = 4000;
const testCount = 1000;
/** Few enough for the interpreter. */
const compareCount = 100;
/** Accuracy below which the demonstration counts as failed. */
const leastAccuracy = 0.97;

const say = (text = ''): void => void process.stdout.write(`${text}\n`);

/** A bar on a terminal, a line for every quarter elsewhere. */
function progressOf(texts: DemoTexts, steps: number) {
  if (process.stderr.isTTY !== true) {
    let quarter = 0;
    return {
      report(step: number, loss: number): void {
        if (Math.floor((4 * step) / steps) === quarter) return;
        quarter = Math.floor((4 * step) / steps);
        say(fillText(texts.progress, { step, steps, loss: loss.toFixed(3) }));
      },
      stop(): void {},
    };
  }
  const format = texts.bar;
  const bar = new progress.SingleBar({ format, clearOnComplete: true, hideCursor: true });
  bar.start(steps, 0, { loss: '' });
  return {
    report: (step: number, loss: number): void => bar.update(step, { loss: loss.toFixed(3) }),
    stop: (): void => bar.stop(),
  };
}

/** Opens the training device and says which one it is. */
async function chooseDevice(texts: DemoTexts): Promise<void> {
  await usePlugins({});
  use(template);
  const backend = await openBackend(wantedIds({}));
  if (backend.kind === 'interpreter') {
    setDevice('interpreter');
    say(texts.interpreter);
    return;
  }
  const { id, found, evidence } = backend.opened;
  setDevice(id);
  for (const { node, reason } of backend.skipped) say(`${node}: ${reason}`);
  const facts = { device: colors.bold(id), model: found.model, driver: found.driver };
  say(fillText(texts.device, { ...facts, evidence: texts.evidence[evidence] }));
}

function row(outcome: Outcome, texts: DemoTexts): readonly string[] {
  const { device, model, evidence, result } = outcome;
  const isReference = evidence === undefined;
  const facts = [
    device,
    isReference ? texts.reference : model,
    isReference ? texts.referenceEvidence : texts.evidence[evidence],
  ];
  if ('failure' in result) {
    return [...facts, fillText(texts.failed, { reason: result.failure }), '', ''];
  }
  const { difference, same, milliseconds } = result;
  const shown = isReference ? '0' : difference.toExponential(1);
  return [...facts, shown, `${same} / ${compareCount}`, msText(milliseconds)];
}

const passes = ({ result }: Outcome): boolean =>
  !('failure' in result) && result.same >= compareCount - 1;

/** Gives the exit code. */
async function demonstrate(texts: DemoTexts): Promise<number> {
  say(colors.bold(texts.title));
  const [drawings, unseen] = [draw(trainCount, 1), draw(testCount, 2)];
  say(texts.drawn);
  const first = Array.from({ length: 10 }, (_, digit) => drawings.labels.indexOf(digit));
  say(textArt(drawings, first.slice(0, 5)));
  say(textArt(drawings, first.slice(5)));
  await chooseDevice(texts);
  say(fillText(texts.sizes, { train: trainCount, test: testCount, count: weightCount() }));
  const start = performance.now();
  const shown = progressOf(texts, stepsFor(drawings));
  const weights = await train(drawings, shown.report).finally(shown.stop);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const accuracy = await accuracyOn(weights, unseen);
  const percent = colors.bold((100 * accuracy).toFixed(1));
  say(fillText(texts.learned, { accuracy: percent, seconds }));
  say(`\n${fillText(texts.compare, { count: compareCount })}`);
  const { outcomes, absent } = await compareDevices(weights, unseen, compareCount);
  say(
    tableText(
      texts.head,
      outcomes.map((outcome) => row(outcome, texts)),
    ).trimEnd(),
  );
  say(colors.dim(texts.note));
  for (const { id, reason, fix } of absent) {
    say(fillText(texts.missing, { device: id, reason, fix }));
  }
  say(`\n${texts.nextTitle}`);
  for (const line of texts.next) say(`  ${line}`);
  return accuracy >= leastAccuracy && outcomes.every(passes) ? 0 : 1;
}

// A reader that has seen enough closes the pipe; that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

await applyEnvironment();
try {
  process.exitCode = await demonstrate(demoTexts(languageOf(process.env)));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await closeDevices().catch(() => {});
}
