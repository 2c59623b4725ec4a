/** The plug-in with traces: what the drivers of its rows answer, written down and played again. */
import type { DevicePlugin, TracedPlugin, TraceReport } from '@open-claw/core/device';
import { type CudaOptions, pluginOf } from './plugin.js';
import type { GpuRow } from './row.js';
import { gpuRows } from './rows.table.js';
import { replayLines, traceRow } from './trace.js';
import { type HeadLine, type Line, readTrace } from './trace-lines.js';

/**
 * Makes the plug-in of rows, `cuda` by name, or of one row, `cuda/ROW`. Ids of devices are
 * `cuda/ROW:N`; `open` also takes a target's id for the first card of that architecture.
 */
export function cudaDevice(
  rows: GpuRow | readonly GpuRow[] = gpuRows,
  options: CudaOptions = {},
): TracedPlugin {
  const plugin: DevicePlugin = pluginOf(rows, options);
  const listed = Array.isArray(rows) ? (rows as readonly GpuRow[]) : [rows as GpuRow];
  return {
    ...plugin,
    async trace() {
      const texts: string[] = [];
      // One after the other: a driver may be shared by two rows.
      for (const row of listed) {
        const text = await traceRow(row, options);
        if (hasDriver(readTrace(text)[0] ?? [])) texts.push(text);
      }
      return texts.join('');
    },
    async replay(trace) {
      const reports: TraceReport[] = [];
      for (const lines of readTrace(trace)) {
        const { row: name } = lines[0] as HeadLine;
        const row = listed.find((each) => each.name === name);
        reports.push(row === undefined ? unknownRow(name) : await replayLines(row, lines));
      }
      return reports;
    },
  };
}

/** Whether any library has opened; a compiler is looked for only where a card is found. */
const hasDriver = (lines: readonly Line[]): boolean =>
  lines.some((line) => 'library' in line && line.absent === undefined);

const unknownRow = (row: string): TraceReport => ({
  row,
  agrees: false,
  stub: false,
  steps: [],
  differences: ['there is no row of this name'],
});
