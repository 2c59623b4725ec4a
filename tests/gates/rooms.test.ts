import { describe, expect, test } from 'vitest';
import { checkRooms } from '../../scripts/check-rooms.mjs';
import { importsOf } from '../../scripts/lib.mjs';
import { vendorNames } from '../../scripts/vendors.mjs';
import { withTree } from './plant.js';

const src = 'packages/core/src';

function manifest(name: string, dependencies: string[] = [], entries = ['index']): string {
  const exports = entries.map((entry) => [
    entry === 'index' ? '.' : `./${entry}`,
    { source: `./src/${entry}.ts` },
  ]);
  return JSON.stringify({
    name: `@open-claw/${name}`,
    exports: Object.fromEntries(exports),
    dependencies: Object.fromEntries(dependencies.map((dependency) => [dependency, '0.1.0'])),
  });
}

const clean = {
  'packages/core/package.json': manifest('core', [], ['index', 'device', 'internal']),
  [`${src}/index.ts`]: "export { tensor } from './tensor/tensor.js';\n",
  [`${src}/device.ts`]: "export { shape } from './base/shape.js';\n",
  [`${src}/internal.ts`]: "export * from './graph/node.js';\n",
  [`${src}/base/shape.ts`]: 'export const shape = 1;\n',
  [`${src}/graph/node.ts`]: "import { shape } from '../base/shape.js';\nexport const n = shape;\n",
  [`${src}/graph/node.test.ts`]: "import { test } from 'vitest';\nimport { n } from './node.js';\n",
  [`${src}/compile.ts`]: "import { n } from './graph/node.js';\nexport const compile = n;\n",
  [`${src}/runtime/run.ts`]:
    "import { compile } from '../compile.js';\nexport const r = compile;\n",
  [`${src}/tensor/tensor.ts`]: "import { r } from '../runtime/run.js';\nexport const tensor = r;\n",
  'devices/toy/package.json': manifest('device-toy', ['@open-claw/core']),
  'devices/toy/src/index.ts': "import { shape } from '@open-claw/core/device';\n// nvidia\n",
};

function violations(planted: Record<string, string>): string[] {
  return withTree({ ...clean, ...planted }, (root) => checkRooms(root).violations);
}

test('a tree that keeps the order passes', () => {
  expect(violations({})).toEqual([]);
});

describe('an import to the right fails', () => {
  const right = [
    "import { r } from '../runtime/run.js';",
    "import type { R } from '../runtime/run.js';",
    "import { type R } from '../runtime/run.js';",
    "export { r } from '../runtime/run.js';",
    "export type * from '../runtime/run.js';",
    "import '../runtime/run.js';",
    "const r = await import('../runtime/run.js');",
    'const r = await import(`../runtime/run.js`);',
    "type R = import('../runtime/run.js').R;",
    "const text = `${await import('../runtime/run.js')}`;",
    "import { compile } from '../compile.js';",
  ];
  test.each(right)('%s', (line) => {
    const found = violations({ [`${src}/kernel/tile.ts`]: `// one\n\n${line}\n` });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/kernel\/tile\.ts:3: kernel imports .* to its right/);
  });
});

test('compile.ts stands between codegen and runtime', () => {
  const found = violations({
    [`${src}/compile.ts`]: "import type { Device } from './runtime/contract.js';\n",
    [`${src}/runtime/contract.ts`]: 'export interface Device {}\n',
  });
  expect(found).toEqual([expect.stringContaining('compile.ts imports runtime')]);
});

test('no room imports a door, neither by path nor by name', () => {
  const byPath = violations({
    [`${src}/tensor/jit.ts`]: "import { shape } from '../device.js';\n",
  });
  expect(byPath).toEqual([expect.stringContaining('imports the door device.ts')]);
  const byName = violations({ [`${src}/tensor/jit.ts`]: "import '@open-claw/core/device';\n" });
  expect(byName.join('\n')).toContain('imports the door device.ts');
});

test('a file that lies in no room fails', () => {
  expect(violations({ [`${src}/utils/misc.ts`]: 'export {};\n' })).toEqual([
    expect.stringContaining("'utils' is no room of core"),
  ]);
});

test('core imports nothing from outside and depends on nothing', () => {
  const imports = violations({
    [`${src}/base/time.ts`]: "import { hrtime } from 'node:process';\n",
  });
  expect(imports).toEqual([expect.stringContaining("core imports 'node:process'")]);
  const computed = violations({ [`${src}/base/any.ts`]: 'export const m = import(name);\n' });
  expect(computed).toEqual([expect.stringContaining('computes an import at run time')]);
  const outside = violations({ [`${src}/base/up.ts`]: "import '../../../nn/src/index.js';\n" });
  expect(outside).toEqual([expect.stringContaining('leaves packages/core')]);
  const depends = violations({ 'packages/core/package.json': manifest('core', ['left-pad']) });
  expect(depends).toContain("packages/core/package.json: core depends on 'left-pad'");
});

test('cycles fail, type imports and cycles across packages included', () => {
  const inside = violations({
    [`${src}/graph/a.ts`]: "import { b } from './b.js';\n",
    [`${src}/graph/b.ts`]: "import type { C } from './c.js';\n",
    [`${src}/graph/c.ts`]: "export type { A } from './a.js';\n",
  });
  expect(inside).toEqual([
    `import cycle: ${['a', 'b', 'c', 'a'].map((name) => `${src}/graph/${name}.ts`).join(' → ')}`,
  ]);
  const across = violations({
    'packages/a/package.json': manifest('a', ['@open-claw/b']),
    'packages/b/package.json': manifest('b', ['@open-claw/a']),
    'packages/a/src/index.ts': "import '@open-claw/b';\n",
    'packages/b/src/index.ts': "import '@open-claw/a';\n",
  });
  expect(across).toEqual([expect.stringContaining('import cycle: packages/a/src/index.ts')]);
});

test('a device may import the device door of core only, its tests more', () => {
  const device = { 'devices/toy/src/device.ts': "import { tensor } from '@open-claw/core';\n" };
  expect(violations(device)).toEqual([
    expect.stringContaining("'@open-claw/core/device' and its parts"),
  ]);
  const inner = { 'devices/toy/src/device.ts': "import '@open-claw/core/internal';\n" };
  expect(violations(inner)).toEqual([expect.stringContaining("'@open-claw/core/internal'")]);
  const parts = {
    'devices/toy/src/device.ts':
      "import '@open-claw/core/device';\nimport '@open-claw/core/device/c';\n",
  };
  expect(violations(parts)).toEqual([]);
  const path = {
    'devices/toy/src/device.ts': "import '../../../packages/core/src/base/shape.js';\n",
  };
  expect(violations(path)).toEqual([expect.stringContaining('leaves devices/toy')]);
  const tests = {
    'devices/toy/conformance.test.ts': "import { tensor } from '@open-claw/core';\n",
  };
  expect(violations(tests)).toEqual([]);
});

test('a package that is not declared fails', () => {
  const found = violations({ 'devices/toy/src/device.ts': "import koffi from 'koffi';\n" });
  expect(found).toEqual([expect.stringContaining("'koffi' is not in devices/toy/package.json")]);
});

test('vendor names fail in shared code and pass in devices and codegen tables', () => {
  const found = violations({ [`${src}/kernel/choose.ts`]: '\nconst isHygon = true;\n' });
  expect(found).toEqual([`${src}/kernel/choose.ts:2: vendor name 'hygon' in shared code`]);
  expect(
    violations({
      [`${src}/codegen/gpu-c/musa.table.ts`]: "export const musa = { name: 'musa' };\n",
      'docs/en/chips.md': 'Ascend, Kunlun, NVIDIA\n',
      'README.md': 'Cambricon\n',
    }),
  ).toEqual([]);
});

test('vendor names are found as words, also inside identifiers', () => {
  expect(vendorNames('HYGON_DCU isNvidiaCard Moore Threads 昇腾 mlu370')).toEqual(
    expect.arrayContaining(['hygon', 'nvidia', 'moore threads', '昇腾', 'mlu']),
  );
  expect(vendorNames('const isThead = ppuName; // 平头哥')).toEqual(
    expect.arrayContaining(['thead', 'ppu', '平头哥']),
  );
  expect(vendorNames('ascending amd64 camouflage damd formula biren2')).toEqual(['biren']);
});

test('imports are read from code, not from comments, strings, templates or expressions', () => {
  const source = [
    "// import 'a';",
    "/* from 'b'",
    ' */ const text = "import \'c\'";',
    "const template = `import 'd' ${`from 'e'` + { f: '}' }} from 'g'`;",
    "const pattern = /['\"`]/; const half = x / 2; // from 'h'",
    "x.import('i'); Array.from('j'); const o = { from: 'k' };",
    'import.meta.url;',
    "import l from 'l';",
    "import(m); require('n');",
  ].join('\n');
  expect(importsOf(source)).toEqual([
    { specifier: 'l', line: 8 },
    { specifier: null, line: 9 },
    { specifier: 'n', line: 9 },
  ]);
});
