/**
 * What the importer takes from core: `build` makes graph nodes, `size` calculates with symbolic
 * sizes. Both have an `add`, which is why they stay apart.
 */
export * from '@open-claw/core/internal';
