/** Bounds of reading protobuf files. */

/** Bounds of one read; exceeding one is an error of its own, not a slow read. */
export interface WireLimits {
  /** Largest file; protobuf itself ends at 2 GiB. */
  readonly bytes: number;
  /** Nesting of messages within messages. */
  readonly depth: number;
  /** Messages, strings and runs of numbers in the whole file. */
  readonly items: number;
}

export const defaultWireLimits: WireLimits = {
  bytes: 2 ** 31 - 1,
  depth: 256,
  items: 4_000_000,
};
