/**
 * Gate of the two languages: docs/en and docs/zh hold the same pages, X.md and X.zh.md the
 * same code; every relative link leads to a file.
 */
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { listFiles, main, readText } from './lib.mjs';

/** @typedef {{ language: string, code: string, line: number }} Block */

/** Blocks in these languages are drawings and output, whose words are translated. */
const translated = new Set(['', 'text', 'txt', 'mermaid', 'console']);

/**
 * @param {string} root
 * @returns {import('./lib.mjs').Report}
 */
export function checkDocs(root) {
  const files = listFiles(root).filter((path) => path.endsWith('.md'));
  const present = new Set(files);
  const pairs = files.flatMap((path) => pairOf(path));
  const [english, chinese] = ['en', 'zh'].map((lang) =>
    files.filter((p) => p.startsWith(`docs/${lang}/`)),
  );
  const violations = [
    ...new Set(pairs.flatMap((pair) => comparePair(root, pair, present))),
    ...files.flatMap((path) => brokenLinks(root, path)),
  ];
  const pages = `${english?.length ?? 0} pages in docs/en, ${chinese?.length ?? 0} in docs/zh`;
  const folder = existsSync(join(root, 'docs')) ? '' : ' (there is no docs folder yet)';
  return {
    violations,
    notes: [`docs: ${pages}${folder}; ${new Set(pairs.map(String)).size} pairs`],
  };
}

/**
 * The English and the Chinese path of a page that must exist in both languages.
 * @param {string} path
 * @returns {[string, string][]}
 */
function pairOf(path) {
  const docs = /^docs\/(en|zh)\/(.*)$/.exec(path);
  if (docs) return [[`docs/en/${docs[2]}`, `docs/zh/${docs[2]}`]];
  const plain = path.replace(/\.zh\.md$/, '.md');
  const both = plain !== path || plain === 'README.md' || plain === 'ARCHITECTURE.md';
  return both ? [[plain, plain.replace(/\.md$/, '.zh.md')]] : [];
}

/**
 * @param {string} root
 * @param {[string, string]} pair
 * @param {Set<string>} present
 * @returns {string[]}
 */
function comparePair(root, [english, chinese], present) {
  const missing = [english, chinese].filter((path) => !present.has(path));
  if (missing.length > 0) return missing.map((path) => `${path}: missing; its translation exists`);
  const [left, right] = [codeBlocks(readText(root, english)), codeBlocks(readText(root, chinese))];
  if (left.length !== right.length) {
    return [`${chinese}: ${right.length} code blocks, ${english} has ${left.length}`];
  }
  return left.flatMap((block, i) => {
    const other = /** @type {Block} */ (right[i]);
    const where = `${chinese}:${other.line}: code block ${i + 1}`;
    if (block.language !== other.language) {
      return [`${where} is '${other.language}', in ${english}:${block.line} '${block.language}'`];
    }
    const same =
      translated.has(block.language) || withoutComments(block) === withoutComments(other);
    return same ? [] : [`${where} differs from ${english}:${block.line}`];
  });
}

/**
 * Fenced code blocks of a page, in order.
 * @param {string} markdown
 * @returns {Block[]}
 */
export function codeBlocks(markdown) {
  /** @type {Block[]} */
  const blocks = [];
  /** @type {{ fence: string, language: string, line: number, body: string[] } | undefined} */
  let open;
  markdown.split('\n').forEach((text, i) => {
    const fence = /^\s*(`{3,}|~{3,})\s*([\w+-]*)/.exec(text);
    if (open === undefined) {
      if (fence?.[1] === undefined) return;
      open = { fence: fence[1], language: fence[2] ?? '', line: i + 1, body: [] };
    } else if (fence?.[1]?.startsWith(open.fence) && text.trim() === fence[1]) {
      blocks.push({ language: open.language, line: open.line, code: open.body.join('\n') });
      open = undefined;
    } else {
      open.body.push(text);
    }
  });
  return blocks;
}

/** @param {Block} block */
function withoutComments({ language, code }) {
  const hash = /^(sh|bash|shell|yaml|yml|toml|py|python|dockerfile)$/i.test(language);
  const comment = hash ? /(^|\s)#.*$/gm : /\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm;
  const lines = code.replace(comment, '').split('\n');
  return lines
    .map((line) => line.trim().replace(/\s+/g, ' '))
    .filter((line) => line !== '')
    .join('\n');
}

/**
 * @param {string} root
 * @param {string} path
 * @returns {string[]}
 */
function brokenLinks(root, path) {
  const text = readText(root, path)
    .replace(/^(\s*)(`{3,}|~{3,})[\s\S]*?^\s*\2/gm, '')
    .replace(/`[^`\n]*`/g, '');
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
  const local = links.filter((link) => !/^([a-z]+:|#)/i.test(link));
  return local.flatMap((link) => {
    const target = posix.join(posix.dirname(path), decodeURI(link.replace(/#.*$/, '')));
    return existsSync(join(root, target))
      ? []
      : [`${path}: link to '${link}', which does not exist`];
  });
}

main(import.meta.url, 'docs', checkDocs);
