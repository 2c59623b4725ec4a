/** Web Workers from Node's worker threads, for libraries that start them from blobs of text. */
import { Worker as Thread } from 'node:worker_threads';

/** What a worker's own text expects around it. */
const around = `
const { parentPort } = require('node:worker_threads');
globalThis.self = globalThis;
globalThis.postMessage = (message, moved) => parentPort.postMessage(message, moved);
parentPort.on('message', (data) => globalThis.onmessage?.({ data }));
`;

/** @param {number} threads that the page claims to have */
export function provideWorkers(threads) {
  /** @type {Map<string, string>} */
  const texts = new Map();
  const Original = globalThis.Blob;
  /** @type {WeakMap<Blob, string>} */
  const textOf = new WeakMap();
  class TextBlob extends Original {
    /** @param {any[]} parts @param {any} [options] */
    constructor(parts, options) {
      super(parts, options);
      if (parts.every((part) => typeof part === 'string')) textOf.set(this, parts.join(''));
    }
  }
  const makeAddress = URL.createObjectURL.bind(URL);
  /** @param {any} blob */
  const address = (blob) => {
    const made = makeAddress(blob);
    const text = textOf.get(blob);
    if (text !== undefined) texts.set(made, text);
    return made;
  };
  class PageWorker {
    /** @type {((event: { data: unknown }) => void) | null} */ onmessage = null;
    /** @type {((event: { message: string }) => void) | null} */ onerror = null;
    /** @param {string | URL} from */
    constructor(from) {
      this.thread = new Thread(around + (texts.get(String(from)) ?? ''), { eval: true });
      this.thread.unref();
      this.thread.on('message', (data) => this.onmessage?.({ data }));
      this.thread.on('error', (error) => this.onerror?.({ message: String(error) }));
    }
    /** @param {any} message @param {any} [moved] */
    postMessage(message, moved) {
      this.thread.postMessage(message, moved);
    }
    terminate() {
      return this.thread.terminate();
    }
  }
  Object.assign(URL, { createObjectURL: address, revokeObjectURL: () => {} });
  Object.assign(globalThis, { Blob: TextBlob, Worker: PageWorker });
  const value = { hardwareConcurrency: threads };
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true });
}
