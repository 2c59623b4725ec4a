/** Door for measuring programs: the limits of a device and the statistics of times. */
export { quantile, summarize, type Times } from './measure.js';
export { measurePeaks, type Peaks } from './peak.js';
