import { describe, expect, it } from 'vitest';
import type { Target } from '../base/target.js';
import { attentionTiles } from './attention-tiles.js';

const target = (vectorBytes: number, vectorRegisters: number): Target =>
  ({ vectorBytes, vectorRegisters, fusedMultiplyAdd: true }) as Target;

describe('tiles of attention', () => {
  const sizes = { queries: 512, width: 64 };

  it('are of two heights where an even division leaves units idle', () => {
    const { queries, rows, columns, lanes } = attentionTiles(sizes, target(32, 16));
    const height = Math.floor(queries / Math.ceil(queries / rows));
    expect(queries % rows).not.toBe(0);
    expect((height * columns) / lanes).toBeGreaterThan(8);
  });

  it('take most registers where these are many', () => {
    const { queries, rows, columns, lanes } = attentionTiles(sizes, target(64, 32));
    const height = Math.floor(queries / Math.ceil(queries / rows));
    expect((height * columns) / lanes).toBeGreaterThan(18);
  });

  it('are of one height where the queries are a tile', () => {
    const { queries, rows } = attentionTiles({ queries: 8, width: 64 }, target(64, 32));
    expect(queries % rows).toBe(0);
  });
});
