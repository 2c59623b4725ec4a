/** Fenced blocks of the pages, and the rules by which they are run and compared. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeBlocks } from '../../scripts/check-docs.mjs';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface Block {
  readonly language: string;
  /** What stands behind the language: `golden=NAME` for texts that a golden file holds. */
  readonly info: string;
  readonly code: string;
  /** Line of the fence in the page. */
  readonly line: number;
  /** Whether only blank lines stand between this block and the one before. */
  readonly follows: boolean;
}

/** Paths of every page whose blocks are run. */
export function pages(): readonly string[] {
  const root = readdirSync(repository).filter((name) => /^(README|ARCHITECTURE).*\.md$/.test(name));
  const docs = ['en', 'zh'].flatMap((language) =>
    readdirSync(join(repository, 'docs', language), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${language}/${name}`),
  );
  const devices = readdirSync(join(repository, 'devices')).map(
    (name) => `devices/${name}/README.md`,
  );
  return [...root, ...docs, ...devices.filter((path) => existsSync(join(repository, path)))].sort();
}

export function blocksOf(page: string): readonly Block[] {
  const text = readFileSync(join(repository, page), 'utf8');
  const lines = text.split('\n');
  let end = 0;
  return codeBlocks(text).map(({ language, code, line }) => {
    const info = (lines[line - 1] as string).trim().replace(/^[`~]+\s*[\w+-]*\s*/, '');
    const follows = end > 0 && lines.slice(end, line - 1).every((each) => each.trim() === '');
    end = line + code.split('\n').length + 1;
    return { language, info, code, line, follows };
  });
}

/** The comments behind `console.log(…)` calls, in order: what a program says that it prints. */
export function expectedLogs(code: string): readonly string[] {
  return [...code.matchAll(/console\.log\(.*\);? *\/\/ (.*)$/gm)].map(
    (match) => match[1] as string,
  );
}

/** Text in which spaces, times and memory sizes, which differ from run to run, do not count. */
const settled = (line: string): string =>
  line
    .replace(/\d+(\.\d+)? ?(ns|µs|ms|s)\b/g, '#')
    .replace(/\s+/g, ' ')
    .trim();

/**
 * The first line of `shown` that `actual` does not have in its place; undefined where all have.
 * A line `…` stands for any lines, `…` inside a line for any text.
 */
export function firstDifference(shown: string, actual: string): string | undefined {
  const lines = shown.trimEnd().split('\n').map(settled);
  const given = actual.trimEnd().split('\n').map(settled);
  let at = 0;
  let isOpen = false;
  for (const line of lines) {
    if (line === '…') {
      isOpen = true;
      continue;
    }
    const parts = line.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const pattern = new RegExp(`^${parts.join('.*')}$`);
    const found = isOpen
      ? given.findIndex((each, i) => i >= at && pattern.test(each))
      : pattern.test(given[at] ?? '')
        ? at
        : -1;
    if (found < 0) return `${line}  ≠  ${isOpen ? 'any later line' : (given[at] ?? 'the end')}`;
    at = found + 1;
    isOpen = false;
  }
  return isOpen || at >= given.length ? undefined : `the end  ≠  ${given[at]}`;
}
