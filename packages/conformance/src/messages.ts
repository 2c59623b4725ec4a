/** What a worker process of the conformance run is told, and what it answers. */
import type { CaseReport } from './report.js';

export interface WorkerStart {
  readonly kind: 'start';
  /** Folder or archive. */
  readonly suite: string;
  readonly device: string;
  /** Addresses of modules that export `plugin`. */
  readonly plugins: readonly string[];
  /** Milliseconds for one case. */
  readonly timeLimit: number;
}

export interface WorkerCase {
  readonly kind: 'case';
  readonly name: string;
}

export type WorkerOrder = WorkerStart | WorkerCase;

export type WorkerAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'fault'; readonly reason: string }
  | { readonly kind: 'result'; readonly report: CaseReport };
