/** What a command works with: where text goes, the language, the signal to stop. */
import type { Texts } from './text.js';

export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether the error stream is a terminal: progress bars go there. */
  readonly isTerminal: boolean;
}

export interface Context extends Output {
  readonly texts: Texts;
  readonly signal: AbortSignal;
}
