/**
 * Writes docs/en/errors.md and docs/zh/errors.md from the message tables of the core: one section
 * per code, so that the link in every error leads somewhere. Needs a build (`npm ci`).
 */
import { realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { repository } from './lib.mjs';

/** @typedef {Readonly<Record<string, { readonly what: string, readonly fix: string }>>} Table */
/** @typedef {'en' | 'zh'} Language */

/** What the codes of a family are about. @type {Record<string, Record<Language, string>>} */
const families = {
  INTERNAL: { en: 'A bug in OpenCLAW.', zh: 'OpenCLAW 自身的缺陷。' },
  REFUSED: {
    en: 'Refused by name before anything runs.',
    zh: '在运行之前按名称拒绝。',
  },
  SHAPE: { en: 'Shapes and sizes.', zh: '形状与大小。' },
  DTYPE: { en: 'Data types.', zh: '数据类型。' },
  RUN: { en: 'While a program runs.', zh: '程序运行期间。' },
  MEMORY: { en: 'Device memory.', zh: '设备内存。' },
  TENSOR: { en: 'Tensors in your code.', zh: '代码中的张量。' },
  BUNDLE: { en: 'Compiled models in one file.', zh: '编译成一个文件的模型。' },
  DEVICE: { en: 'Devices and their plug-ins.', zh: '设备及其插件。' },
  NATIVE: { en: 'The CPU device.', zh: 'CPU 设备。' },
  PLUGIN: { en: 'Loading plug-ins.', zh: '加载插件。' },
  ONNX: { en: 'ONNX models.', zh: 'ONNX 模型。' },
  PB: {
    en: 'Protocol buffers, in which ONNX files are written.',
    zh: 'ONNX 文件所用的 protobuf。',
  },
  NPY: { en: 'NumPy files.', zh: 'NumPy 文件。' },
  ZIP: { en: 'Zip archives.', zh: 'zip 归档。' },
  TAR: { en: 'Tar archives.', zh: 'tar 归档。' },
  JSON: { en: 'Tensors as JSON.', zh: 'JSON 形式的张量。' },
  USAGE: { en: 'The command line.', zh: '命令行。' },
  INPUT: { en: 'Inputs of a model.', zh: '模型的输入。' },
  FETCH: { en: 'Models at an address.', zh: '按网址获取模型。' },
  CONFORM: { en: 'The exam of a device.', zh: '设备考试。' },
  NN: { en: 'Layers and optimizers.', zh: '网络层与优化器。' },
};

const texts = {
  en: {
    head: `# Errors

Every error has five parts: a code, what happened, where, how to fix it, and a link to this page.
The code is the same in every language; the text follows \`LANG\`. In code an error is an
\`OpenClawError\` with \`code\`, \`what\`, \`where\`, \`fix\`, \`link\`, \`kind\` and \`retry\`.

| exit code of \`claw\` | means | \`kind\` |
|---|---|---|
| 0 | done | |
| 1 | the work failed or is wrong | \`wrong\` |
| 2 | wrong use | \`usage\` |
| 3 | refused or unavailable | \`refused\`, \`unavailable\` |
| 4 | may be tried again | \`transient\` |

\`{name}\` below stands for what an error fills in. This page is made from the message tables by
\`node scripts/make-error-pages.mjs\`.
`,
    fix: 'Fix:',
  },
  zh: {
    head: `# 错误

每个错误由五部分组成：代码、发生了什么、位置、解决方法，以及指向本页的链接。代码在各语言中相同，
文字随 \`LANG\` 变化。在程序中，错误是一个 \`OpenClawError\`，字段有 \`code\`、\`what\`、\`where\`、
\`fix\`、\`link\`、\`kind\` 和 \`retry\`。

| \`claw\` 的退出码 | 含义 | \`kind\` |
|---|---|---|
| 0 | 完成 | |
| 1 | 执行失败或结果有误 | \`wrong\` |
| 2 | 用法错误 | \`usage\` |
| 3 | 被拒绝或不可用 | \`refused\`、\`unavailable\` |
| 4 | 可以重试 | \`transient\` |

下文的 \`{名称}\` 表示出错时填入的内容。本页由 \`node scripts/make-error-pages.mjs\` 从消息表生成。
`,
    fix: '解决方法：',
  },
};

/** Text that Markdown shows as it stands. @param {string} text */
const plain = (text) => text.replace(/[[\]<>*_|]/g, (mark) => `\\${mark}`);

/**
 * The page of one language. Codes are sorted; a code's heading gives its anchor.
 * @param {Table} table
 * @param {Language} language
 * @returns {string}
 */
export function errorPage(table, language) {
  const { head, fix } = texts[language];
  /** @type {Map<string, string[]>} */
  const byFamily = new Map();
  for (const code of Object.keys(table).sort()) {
    const family = code.replace(/^OC-/, '').replace(/-\d+$/, '');
    byFamily.set(family, [...(byFamily.get(family) ?? []), code]);
  }
  const sections = [...byFamily].map(([family, codes]) => {
    const about = families[family]?.[language];
    const entries = codes.map((code) => {
      const message = /** @type {Table[string]} */ (table[code]);
      return `### ${code}\n\n${plain(message.what)}\n\n**${fix}** ${plain(message.fix)}\n`;
    });
    return [`## OC-${family}\n`, ...(about === undefined ? [] : [`${about}\n`]), ...entries];
  });
  return [head, ...sections.flat()].join('\n');
}

async function writePages() {
  const from = (/** @type {Language} */ language) =>
    import(pathToFileURL(join(repository, `packages/core/dist/base/messages.${language}.js`)).href);
  const { messagesEnglish } = await from('en');
  const { messagesChinese } = await from('zh');
  writeFileSync(join(repository, 'docs/en/errors.md'), errorPage(messagesEnglish, 'en'));
  writeFileSync(join(repository, 'docs/zh/errors.md'), errorPage(messagesChinese, 'zh'));
  console.log(`${Object.keys(messagesEnglish).length} codes`);
}

const started = process.argv[1];
if (started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)) {
  await writePages();
}
