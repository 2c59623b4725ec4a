/** The command `claw`. */
import { switchOnFeatures } from './engine.js';
import { runCommandLine } from './run.js';

switchOnFeatures();

// A reader that has seen enough closes the pipe; that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const controller = new AbortController();
process.once('SIGINT', () => controller.abort('interrupted'));

const exit = await runCommandLine(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY === true,
  env: process.env,
  signal: controller.signal,
});
process.exitCode = exit;
// Devices are closed; what still holds the loop open must not hold the user.
setTimeout(() => process.exit(exit), 500).unref();
