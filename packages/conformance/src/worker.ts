/** A process of its own for cases, so that a crash ends one case and not the run. */
import { type DevicePlugin, type OpenDevice, openDevice, use } from '@open-claw/core';
import { casesOf, type SuiteCase } from '@open-claw/formats';
import { conformCase } from './execute.js';
import type { WorkerAnswer, WorkerOrder, WorkerStart } from './messages.js';
import { readSuite } from './read-suite.js';

interface Ready {
  readonly cases: ReadonlyMap<string, SuiteCase>;
  readonly opened: OpenDevice | undefined;
  readonly timeLimit: number;
}

const answer = (message: WorkerAnswer): void => void process.send?.(message);

async function start({ suite, device, plugins, timeLimit }: WorkerStart): Promise<Ready> {
  for (const address of plugins) {
    const module = (await import(address)) as { readonly plugin: DevicePlugin };
    use(module.plugin);
  }
  const opened = device === 'interpreter' ? undefined : await openDevice(device);
  const { files } = readSuite(suite);
  return { cases: new Map(casesOf(files).map((each) => [each.name, each])), opened, timeLimit };
}

let ready: Ready | undefined;

async function obey(order: WorkerOrder): Promise<void> {
  if (order.kind === 'start') {
    ready = await start(order);
    return answer({ kind: 'ready' });
  }
  const each = ready?.cases.get(order.name);
  if (ready === undefined || each === undefined) throw new Error(`no case ${order.name}`);
  answer({ kind: 'result', report: await conformCase(each, ready.opened, ready.timeLimit) });
}

process.on('message', (order: WorkerOrder) => {
  obey(order).catch((error: unknown) => {
    answer({ kind: 'fault', reason: error instanceof Error ? error.message : String(error) });
  });
});
// The parent is gone: nobody waits for an answer.
process.on('disconnect', () => process.exit(0));
