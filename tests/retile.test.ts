/** Kernels that are too large for a chip get smaller tiles before they are refused. */
import { check, compile, type Target } from '@open-claw/core';
import {
  cLanguage,
  gpuDialects,
  gpuLanguage,
  type Language,
  type TileProgram,
  targetsOfGpus,
} from '@open-claw/core/device';
import * as core from '@open-claw/core/internal';
import { nativeRows } from '@open-claw/device-native';
import { describe, expect, it } from 'vitest';
import { makeTarget, plainMachine } from '../devices/native/src/targets.js';
import { smallPrograms } from './programs.js';

const dialect = Object.keys(gpuDialects)[0] as keyof typeof gpuDialects;
const gpu = gpuLanguage(dialect);
const gpuTarget = targetsOfGpus.find(({ language }) => language === gpu.name) as Target;

/** The language of a chip that takes no program over a limit; collects what it was given. */
function limited(
  language: Language,
  measure: (program: TileProgram) => number,
  most: number,
): { readonly language: Language; readonly taken: readonly number[] } {
  const taken: number[] = [];
  const emit: Language['emit'] = (programs, target) => {
    for (const program of programs) {
      const need = measure(program);
      if (need > most) throw core.tooLarge('a resource', need, most);
      taken.push(need);
    }
    return language.emit(programs, target);
  };
  return { language: { ...language, emit }, taken };
}

/** Shared bytes as the GPU language counts them. */
const shared = (program: TileProgram): number =>
  Math.max(...gpu.emit([program], gpuTarget).entries.map(({ sharedBytes }) => sharedBytes));

/** Elements of all tiles that a program carries along. */
function carried(program: TileProgram): number {
  let total = 0;
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('kind' in value && value.kind === 'variable' && 'type' in value) {
      const { shape } = value.type as { shape: readonly number[] };
      total += shape.reduce((product, size) => product * size, 1);
    }
    for (const member of Object.values(value)) visit(member);
  };
  visit(program.body);
  return total;
}

const wanted = ['attention', 'elementwise'];
const graphs = smallPrograms().filter(({ name }) => wanted.includes(name));

function matmulGraph(): core.Graph {
  const [a, b] = ['a', 'b'].map((name) => core.input(name, { dtype: 'f32', shape: [256, 256] }));
  return core.graphOf([a, b] as core.Node[], [core.matmul(a as core.Node, b as core.Node)]);
}

const all = [...graphs, { name: 'matmul', graph: matmulGraph() }];
const cpuTarget = makeTarget(nativeRows[0] as (typeof nativeRows)[number], plainMachine);

describe.each(all)('$name', ({ graph }) => {
  it('fits groups of 32 threads', () => {
    const tiny = limited(gpu, ({ group }) => group, 32);
    compile(graph, gpuTarget, tiny.language);
    expect(Math.max(...tiny.taken)).toBeLessThanOrEqual(32);
  });

  it('fits 2 KiB of shared memory', () => {
    const tiny = limited(gpu, shared, 2048);
    compile(graph, gpuTarget, tiny.language);
    expect(tiny.taken.length).toBeGreaterThan(0);
  });

  it('fits a small register file', () => {
    const tiny = limited(cLanguage, carried, 200);
    compile(graph, cpuTarget, tiny.language);
    expect(tiny.taken.length).toBeGreaterThan(0);
  });

  it('is refused where no tile is small enough', () => {
    const { language } = limited(gpu, () => 2, 1);
    expect(check(graph, gpuTarget, language).refusals.length).toBeGreaterThan(0);
  });
});

it('would not fit by default', () => {
  const measured = (language: Language, target: Target, measure: (p: TileProgram) => number) => {
    const free = limited(language, measure, Number.POSITIVE_INFINITY);
    compile(matmulGraph(), target, free.language);
    return Math.max(...free.taken);
  };
  expect(measured(gpu, gpuTarget, ({ group }) => group)).toBeGreaterThan(32);
  expect(measured(gpu, gpuTarget, shared)).toBeGreaterThan(2048);
  expect(measured(cLanguage, cpuTarget, carried)).toBeGreaterThan(200);
});
