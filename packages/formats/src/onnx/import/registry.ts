/**
 * Tables of operator imports and the choice by (domain, operator, version).
 *
 * A family file exports one `OperatorTable`; operators.ts merges all of them. Keys are `Relu` for
 * the domain ai.onnx and `ai.onnx.ml::Binarizer` for others.
 */
import type { OperatorCall } from './context.js';
import { internal } from './core.js';
import type { Result } from './value.js';

export interface OperatorEntry {
  /**
   * The since-versions of the schema that `import` covers, ascending. A node of opset v is imported
   * with the largest of them ≤ v as `call.version`; a node older than the first is refused.
   */
  readonly versions: readonly number[];
  /** One result per output, or one alone; results of unnamed trailing outputs may be left out. */
  readonly import: (call: OperatorCall) => Result | readonly Result[];
}

export type OperatorTable = Readonly<Record<string, OperatorEntry>>;

/** The same import for several operators that differ in name only. */
export function entriesOf<Name extends string>(
  names: Readonly<Record<Name, readonly number[]>>,
  importOf: (name: Name) => OperatorEntry['import'],
): OperatorTable {
  const entries = Object.entries(names) as [Name, readonly number[]][];
  return Object.fromEntries(
    entries.map(([name, versions]) => [name, { versions, import: importOf(name) }]),
  );
}

/** One table of all; a key in two tables is a bug. */
export function mergeTables(
  ...tables: readonly OperatorTable[]
): ReadonlyMap<string, OperatorEntry> {
  const merged = new Map<string, OperatorEntry>();
  for (const table of tables) {
    for (const [key, entry] of Object.entries(table)) {
      if (merged.has(key)) throw internal(`operator ${key} is in two tables`);
      merged.set(key, entry);
    }
  }
  return merged;
}

export const operatorKey = (domain: string, operator: string): string =>
  domain === '' ? operator : `${domain}::${operator}`;

/** The since-version for an opset; undefined where the entry begins later. */
export function sinceVersion(entry: OperatorEntry, opset: number): number | undefined {
  return entry.versions.findLast((version) => version <= opset);
}
