import { describe, expect, test } from 'vitest';
import { checkBudgets } from '../../scripts/check-budgets.mjs';
import { checkDocs, codeBlocks } from '../../scripts/check-docs.mjs';
import { checkLock } from '../../scripts/check-lock.mjs';
import { checkWords } from '../../scripts/check-words.mjs';
import { withTree } from './plant.js';

const core = 'packages/core/src';

describe('budgets', () => {
  const lines = (count: number) => 'x;\n'.repeat(count);
  const judge = (files: Record<string, string>) => withTree(files, checkBudgets);

  test.each([
    ['graph/node.ts', 400],
    ['runtime/contract.ts', 150],
    ['compile.ts', 80],
  ])('%s may have %d lines and not one more', (name, limit) => {
    const path = `${core}/${name}`;
    expect(judge({ [path]: lines(limit) }).violations).toEqual([]);
    expect(judge({ [path]: lines(limit + 1) }).violations).toEqual([
      `${path}: ${limit + 1} lines, at most ${limit}`,
    ]);
  });

  test('tables, messages, tests and golden files may be long', () => {
    const long = ['graph/ops.table.ts', 'base/messages.zh.ts', 'graph/a.test.ts', 'golden/a.ts'];
    const files = long.map((path) => [`${core}/${path}`, lines(900)]);
    expect(judge(Object.fromEntries(files)).violations).toEqual([]);
  });

  test('a line has at most 100 characters, counted as readers count', () => {
    expect(judge({ 'scripts/a.mjs': `${'算'.repeat(100)}\n` }).violations).toEqual([]);
    expect(judge({ 'scripts/a.mjs': `\n${'x'.repeat(101)}\n` }).violations).toEqual([
      'scripts/a.mjs:2: 101 characters, at most 100',
    ]);
  });

  test('the totals of each room are printed', () => {
    const { notes } = judge({
      [`${core}/graph/a.ts`]: lines(3),
      [`${core}/graph/a.test.ts`]: lines(2),
    });
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/^core\/src\/graph +1 files +3 lines +2 of tests$/);
  });
});

describe('docs', () => {
  const fence = '```';
  const page = (code: string, language = 'ts') =>
    `# Page\n\n${fence}${language}\n${code}\n${fence}\n`;
  const judge = (english: string, chinese: string) =>
    withTree({ 'docs/en/a.md': english, 'docs/zh/a.md': chinese }, checkDocs).violations;

  test('no docs folder is no failure and is said', () => {
    const { violations, notes } = withTree({ 'SECURITY.md': 'x' }, checkDocs);
    expect(violations).toEqual([]);
    expect(notes[0]).toContain('no docs folder');
  });

  test('a page in one language only fails', () => {
    const files = {
      'docs/en/a.md': 'x',
      'docs/en/b.md': 'x',
      'docs/zh/a.md': 'x',
      'README.md': 'x',
    };
    expect(withTree(files, checkDocs).violations).toEqual([
      'README.zh.md: missing; its translation exists',
      'docs/zh/b.md: missing; its translation exists',
    ]);
  });

  test('code may differ in comments and in drawings only', () => {
    expect(judge(page('run();  // go'), page('run(); // 走\n/* 好 */'))).toEqual([]);
    expect(judge(page("open('http://a')"), page("open('http://b')"))).toHaveLength(1);
    expect(judge(page('claw run # go', 'sh'), page('claw run # 走', 'sh'))).toEqual([]);
    expect(judge(page('graph', 'text'), page('图', 'text'))).toEqual([]);
    expect(judge(page('run();'), page('go();'))).toEqual([
      'docs/zh/a.md:3: code block 1 differs from docs/en/a.md:3',
    ]);
    expect(judge(page('x', 'ts'), page('x', 'js'))).toHaveLength(1);
    expect(judge(page('x') + page('y'), page('x'))).toEqual([
      'docs/zh/a.md: 1 code blocks, docs/en/a.md has 2',
    ]);
  });

  test('a link to a file that is not there fails, inside code it is text', () => {
    const files = {
      'SECURITY.md': `[a](docs/en/a.md#part) [b](https://example.org) [c](#here) \`[d](e.md)\`\n`,
      'docs/en/a.md': page('[x](y.md)', 'text'),
      'docs/zh/a.md': `[z](../en/z.md)\n${page('[x](y.md)', 'text')}`,
    };
    expect(withTree(files, checkDocs).violations).toEqual([
      "docs/zh/a.md: link to '../en/z.md', which does not exist",
    ]);
  });

  test('a longer fence holds shorter ones', () => {
    const text = `${fence}\`md\n${fence}ts\na\n${fence}\n${fence}\`\n`;
    expect(codeBlocks(text)).toEqual([
      { language: 'md', line: 1, code: `${fence}ts\na\n${fence}` },
    ]);
  });
});

describe('words', () => {
  const judge = (text: string, path = 'notes.md') =>
    withTree({ [path]: text }, checkWords).violations;

  test.each([['', 'work', 'main'].join('/'), ` ("${['', 'home', 'a'].join('/')}")`])(
    'the absolute path %s fails',
    (path) => {
      expect(judge(`first\n${path}\n`)).toEqual([
        'notes.md:2: names an absolute path of one machine',
      ]);
    },
  );

  test('relative paths and addresses pass', () => {
    expect(judge('see ./work/a, net/work/b and https://example.org/home/c\n')).toEqual([]);
  });

  test('registry hosts fail', () => {
    const host = ['registry', 'npmjs', 'org'].join('.');
    expect(judge(`npm --registry ${host}\n`)).toEqual([
      'notes.md:1: names the host of a package registry',
    ]);
  });

  test('binary files are not read as text', () => {
    expect(judge(`\0${['', 'work', 'main'].join('/')}`, 'a.bin')).toEqual([]);
  });
});

describe('lock', () => {
  const judge = (dependencies: Record<string, string>, packages: Record<string, unknown>) => {
    const files = {
      'package.json': JSON.stringify({ dependencies }),
      'package-lock.json': JSON.stringify({ packages: { '': { dependencies }, ...packages } }),
    };
    return withTree(files, checkLock).violations;
  };
  const a = { 'node_modules/a': { version: '1.0.0' } };

  test('pinned and complete passes, workspace links included', () => {
    const link = { 'node_modules/b': { resolved: 'packages/b', link: true } };
    const nested = { 'packages/b': { dependencies: { a: '1.0.0' } } };
    expect(judge({ a: '1.0.0' }, { ...a, ...link, ...nested })).toEqual([]);
  });

  test.each(['^1.0.0', '~1.0.0', '1.x', '*', 'latest', 'file:../a'])('the pin %s fails', (pin) => {
    expect(judge({ a: pin }, a)).toEqual([`package.json: 'a' is '${pin}', not one version`]);
  });

  test('a missing entry of another platform and a download address fail', () => {
    const entry = { optionalDependencies: { 'a-riscv64': '1.0.0' }, resolved: 'https://a/a.tgz' };
    expect(judge({ a: '1.0.0' }, { 'node_modules/a': entry })).toEqual([
      'package-lock.json: node_modules/a says where it was downloaded from',
      "package-lock.json: no entry for 'a-riscv64', needed by 'node_modules/a'",
    ]);
  });
});
