/** Targets of a row: the table's facts, lowered to what a card reports. */
import { type DType, dtypeFacts, type Target } from '@open-claw/core/device';
import { type Architecture, dialectName, type GpuRow } from './row.js';

/** What a card says about itself; absent where it cannot be asked. */
export interface Reported {
  readonly maxGroup?: number;
  readonly maxGridX?: number;
  readonly sharedBytes?: number;
  readonly warp?: number;
  readonly cores?: number;
  readonly memoryBytes?: number;
}

const least = (table: number, reported: number | undefined): number =>
  reported !== undefined && reported > 0 ? Math.min(table, reported) : table;

/** Threads of a group that suit most kernels. */
const usualGroup = 256;
const gridYZ = 65535;

/** Facts of an architecture, each the smaller of the table's and the card's. */
export function targetOf(row: GpuRow, a: Architecture, reported: Reported = {}): Target {
  // Cores and memory bound nothing in kernels, so the card's own numbers are taken.
  const memoryBytes = reported.memoryBytes ?? a.memoryBytes;
  const maxGroup = least(a.maxGroup, reported.maxGroup);
  return {
    id: `cuda/${a.name}`,
    language: dialectName(row),
    execution: 'threads',
    vectorBytes: 0,
    vectorRegisters: 255,
    cores: reported.cores ?? a.cores,
    cacheBytes: [],
    maxGroup,
    preferredGroup: Math.min(usualGroup, maxGroup),
    sharedBytes: least(a.sharedBytes, reported.sharedBytes),
    accessBytes: 16,
    spaces: [],
    // A unit's layout is that of warps of the architecture's width.
    matrixUnits: (reported.warp ?? a.warp) === a.warp ? (a.matrixUnits ?? []) : [],
    compute: ['f32', 'f64', 'i32', 'u32', 'i64', 'u64', 'bool'],
    storage: (Object.keys(dtypeFacts) as DType[]).filter((dtype) => dtype !== 'string'),
    math: [],
    fusedMultiplyAdd: true,
    maxBindings: 64,
    maxBufferBytes: memoryBytes,
    offsetAlignment: 256,
    sharedBuffers: true,
    indexBits: 64,
    maxGrid: [least(row.maxGridX, reported.maxGridX), gridYZ, gridYZ],
    memoryBytes,
  };
}

/** The architecture of a card by its name, the row's first where no pattern fits. */
export function architectureByName(row: GpuRow, model: string): Architecture {
  const named = row.architectures.filter(({ cards }) => cards !== undefined);
  const fits = named.filter(({ cards }) => new RegExp(cards as string, 'i').test(model));
  // The longest pattern says most.
  const best = fits.sort((a, b) => (b.cards as string).length - (a.cards as string).length)[0];
  return best ?? row.architectures[0];
}

/** An architecture that the compiler names and the table may not have: facts of the first row. */
export function architectureByCode(row: GpuRow, name: string): Architecture {
  return row.architectures.find((a) => a.name === name) ?? { ...row.architectures[0], name };
}
