/**
 * What a plug-in may have beside the contract: the answers of its drivers written down, so that the
 * owner of a chip can send them, and the plug-in checked against such a text without the chip.
 */
import type { DevicePlugin } from './contract.js';

/** What a plug-in does when a trace answers in place of its driver. */
export interface TraceReport {
  /** The driver's name in the plug-in; the one that the trace names where there is none. */
  readonly row: string;
  /** Whether the plug-in makes the calls of the trace and comes to the same ends. */
  readonly agrees: boolean;
  /** Whether the driver said that it is a stub. */
  readonly stub: boolean;
  readonly steps: readonly { readonly step: string; readonly outcome: string }[];
  readonly differences: readonly string[];
}

export interface TracedPlugin extends DevicePlugin {
  /**
   * Walks shortly through every driver that opens: lines of JSON, empty where none does. What fails
   * on the way is in the lines.
   */
  trace(): Promise<string>;
  /** Walks again by a trace. Throws OC-TRACE-01 for a text that is none. */
  replay(trace: string): Promise<readonly TraceReport[]>;
}

export const isTraced = (plugin: DevicePlugin): plugin is TracedPlugin =>
  'trace' in plugin && 'replay' in plugin;
