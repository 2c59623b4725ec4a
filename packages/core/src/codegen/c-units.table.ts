/**
 * Matrix units of CPUs as inline assembly: tile registers, how they are configured, loaded and
 * stored, and the product of each unit by its name (see target.matrixUnits).
 */

/** Tile registers of a kind of machine, and what their instructions are called. */
export interface TileRegisters {
  /** Registers that hold one tile each. */
  readonly count: number;
  /** Bytes of a row and rows of a tile. */
  readonly rowBytes: number;
  readonly rows: number;
  /** Statements around all kernel code. */
  readonly begin: readonly string[];
  readonly end: readonly string[];
  readonly zero: (tile: number) => string;
  /** Rows at `pointer`, `stride` bytes apart; `once`: they need no place in the first cache. */
  readonly load: (tile: number, pointer: string, stride: string, once: boolean) => string;
  readonly store: (tile: number, pointer: string, stride: string) => string;
  /** accumulator += a · b */
  readonly product: (unit: string, accumulator: number, a: number, b: number) => string;
}

const products: Readonly<Record<string, string>> = {
  'amx-bf16': 'tdpbf16ps',
  'amx-i8-i8': 'tdpbssd',
  'amx-i8-u8': 'tdpbsud',
  'amx-u8-i8': 'tdpbusd',
  'amx-u8-u8': 'tdpbuud',
};

/** Palette 1 with all eight tiles of 16 rows of 64 bytes. */
const configuration = [
  '1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0',
  '64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0',
  '0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0',
  '16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0',
].join(', ');

const assembly = (text: string, inputs = ''): string =>
  `__asm__ volatile("${text}" : : ${inputs}: "memory");`;

const memory = (pointer: string, stride: string): string =>
  `"r"(${pointer}), "r"((i64)(${stride})) `;

const amx: TileRegisters = {
  count: 8,
  rowBytes: 64,
  rows: 16,
  begin: [
    `static const u8 tile_shapes[64] __attribute__((aligned(64))) = {${configuration}};`,
    '__asm__ volatile("ldtilecfg %0" : : "m"(tile_shapes) : "memory");',
  ],
  end: [assembly('tilerelease')],
  zero: (tile) => assembly(`tilezero %%tmm${tile}`),
  load: (tile, pointer, stride, once) =>
    assembly(`tileloadd${once ? 't1' : ''} (%0, %1, 1), %%tmm${tile}`, memory(pointer, stride)),
  store: (tile, pointer, stride) =>
    assembly(`tilestored %%tmm${tile}, (%0, %1, 1)`, memory(pointer, stride)),
  product: (unit, accumulator, a, b) =>
    assembly(`${products[unit]} %%tmm${b}, %%tmm${a}, %%tmm${accumulator}`),
};

/** The tile registers that a unit works on; undefined for a unit that is not in the table. */
export const tileRegistersOf = (unit: string): TileRegisters | undefined =>
  products[unit] === undefined ? undefined : amx;
