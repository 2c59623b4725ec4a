/** A turn of the event loop, by the quickest means that the surroundings have. */
export const nextTurn: () => Promise<void> = (() => {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void };
  if (setImmediate !== undefined) return () => new Promise((resolve) => setImmediate(resolve));
  return () => new Promise((resolve) => setTimeout(resolve, 0));
})();
