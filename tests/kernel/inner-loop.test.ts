/** The inner loop of a product on CPUs that are not here: what the compiler makes of it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '@open-claw/core';
import { cLanguage } from '@open-claw/core/device';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { makeTarget, plainMachine, rows } from '../../devices/native/src/targets.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-cross-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const compiler = ['clang', 'clang-19'].find((name) => {
  try {
    return /aarch64/.test(execFileSync(name, ['--print-targets'], { encoding: 'utf8' }));
  } catch {
    return false;
  }
});
if (compiler === undefined) console.warn('skipped: clang for other chips not found: clang-19');

const machines = [
  { row: 'neon', bytes: 16, flags: ['--target=aarch64-linux-gnu'], most: 1.5 },
  {
    row: 'sve',
    bytes: 32,
    flags: ['--target=aarch64-linux-gnu', '-march=armv8.2-a+sve', '-msve-vector-bits=256'],
    most: 1.9,
  },
  {
    row: 'rvv',
    bytes: 32,
    flags: ['--target=riscv64-linux-gnu', '-march=rv64gcv_zvl256b', '-mrvv-vector-bits=zvl'],
    most: 1.95,
  },
] as const;

/** Instructions of the loop with the most multiply-adds in assembly text. */
function innerLoop(assembly: string): readonly string[] {
  const lines = assembly.split('\n');
  const body = lines.slice(lines.findIndex((line) => line.startsWith('k0:')));
  const labels = new Map<string, number>();
  let best: readonly string[] = [];
  body.forEach((line, i) => {
    const label = /^(\.L\w+):/.exec(line)?.[1];
    if (label !== undefined) labels.set(label, i);
    const target = /^\s+(?:b|c|t)\S*\s.*?(\.L\w+)\s*$/.exec(line)?.[1];
    const start = target === undefined ? undefined : labels.get(target);
    if (start === undefined) return;
    const loop = body.slice(start, i + 1).filter((text) => /^\t[a-z]/.test(text));
    if (multiplyAdds(loop) > multiplyAdds(best)) best = loop;
    // An outer loop holds the inner one and more: only the tightest counts.
    labels.clear();
  });
  return best;
}

const multiplyAdds = (loop: readonly string[]): number =>
  loop.filter((text) => /\b(fmla|fmad|vfmacc|vfmadd)/.test(text)).length;

describe.skipIf(compiler === undefined)('a product of matrices', () => {
  it.each(machines)('takes at most $most instructions for a multiply-add on $row', (machine) => {
    const row = rows.find(({ name }) => name === 'neon') as (typeof rows)[number];
    const plain = makeTarget(row, plainMachine);
    const target = { ...plain, id: `native/${machine.row}`, vectorBytes: machine.bytes };
    const [a, b] = ['a', 'b'].map((name) => core.input(name, { dtype: 'f32', shape: [512, 512] }));
    const graph = core.graphOf([a, b] as core.NodeOf<'input'>[], [
      core.matmul(a as core.Node, b as core.Node),
    ]);
    const [from, to] = [join(folder, 'k.c'), join(folder, 'k.s')];
    writeFileSync(from, compile(graph, target, cLanguage).source?.text ?? '');
    const flags = ['-std=gnu11', '-O2', '-w', '-ffp-contract=off', '-fno-math-errno'];
    execFileSync(compiler as string, [
      ...machine.flags,
      ...flags,
      '-ffreestanding',
      '-S',
      from,
      '-o',
      to,
    ]);
    const loop = innerLoop(readFileSync(to, 'utf8'));
    const count = multiplyAdds(loop);
    expect(count).toBeGreaterThanOrEqual(8);
    expect(loop.length / count).toBeLessThanOrEqual(machine.most);
    // No sum goes to memory.
    expect(loop.filter((text) => /Spill|Reload/.test(text))).toEqual([]);
  });
});
