/** Lists over the lanes of a vector, as text. */

/** 0 … count−1, each through a function, as one list. */
export const listLanes = (count: number, text: (lane: number) => string): string =>
  Array.from({ length: count }, (_, lane) => text(lane)).join(', ');
