/** Where values of a step are computed: the parts of a place that its kernel and its names tell. */
import type { KernelFrame, KernelNames } from './frame.js';
import type { TileAxis } from './tile-limits.js';
import type { Place } from './value.js';

/** A place for values at a tile; its expressions are over the code's own variables unless said. */
export const placeOn = (
  frame: KernelFrame,
  names: KernelNames,
  tile: readonly TileAxis[],
  said: Partial<Pick<Place, 'finish' | 'known' | 'squares'>> = {},
): Place => ({
  builder: frame.builder,
  target: frame.target,
  bufferOf: (node) => frame.input(node),
  finish: (e) => e,
  tile,
  known: () => undefined,
  failBase: names.failBase,
  ...said,
});
