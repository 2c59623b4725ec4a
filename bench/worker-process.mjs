/** A worker seen from the process that gives it its turns. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./worker.mjs', import.meta.url));

export class WorkerProcess {
  /** @param {import('./contestants.mjs').Contestant} contestant */
  constructor({ flags }) {
    this.child = fork(script, [], {
      execArgv: [...flags],
      serialization: 'advanced',
      silent: true,
    });
    /** @type {string} */
    this.tail = '';
    this.child.stderr?.on('data', (text) => {
      this.tail = (this.tail + text).slice(-2000);
    });
  }

  /**
   * Rejects with what went wrong in the worker, or after `seconds`.
   * @param {string} action
   * @param {object} [details]
   * @param {number} [seconds]
   * @returns {Promise<any>}
   */
  ask(action, details = {}, seconds = 240) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => end(new Error(`no answer in ${seconds} s`)), seconds * 1000);
      const end = (/** @type {Error | undefined} */ error, /** @type {any} */ answer = {}) => {
        clearTimeout(timer);
        this.child.off('message', answered);
        this.child.off('exit', ended);
        if (error !== undefined) reject(error);
        else if (answer.problem !== undefined) reject(new Error(answer.problem));
        else resolve(answer);
      };
      const answered = (/** @type {any} */ answer) => end(undefined, answer);
      const ended = (/** @type {number | null} */ code, /** @type {string | null} */ signal) => {
        const lines = this.tail.trim().split('\n');
        const line = lines.find((each) => /error|abort|memory/i.test(each)) ?? lines.at(-1) ?? '';
        end(new Error(`the process ended (${signal ?? code}) ${line.slice(0, 200)}`.trim()));
      };
      this.child.on('message', answered);
      this.child.on('exit', ended);
      this.child.send({ ...details, action });
    });
  }

  end() {
    this.child.kill('SIGKILL');
  }
}
