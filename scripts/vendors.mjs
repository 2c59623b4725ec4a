/** The names of chip vendors and their products, which shared code must not know. */

const words = new Set(
  `nvidia geforce tegra amd radeon intel qualcomm adreno hygon deepcomputing musa moorethreads
  mthreads metax maca iluvatar corex biren birentech supa cambricon mlu ascend huawei kunlun
  kunlunxin enflame topsrider tecorigin sophgo tenstorrent thead hggc ppu rocm`.split(/\s+/),
);

const phrases = ['moore threads'];

const chinese =
  '英伟达 英特尔 高通 海光 摩尔线程 沐曦 天数智芯 壁仞 寒武纪 昇腾 华为 昆仑芯 燧原 太初 算能 平头哥'.split(
    ' ',
  );

/**
 * Vendor names in one line of text, lower case, each once. Identifiers are split into their
 * words, so that `isHygon` and `HYGON_WARP` are found and `ascending` is not.
 * @param {string} text
 * @returns {string[]}
 */
export function vendorNames(text) {
  // The name of an instruction set, used by every maker of such chips.
  const plain = text.replaceAll(/amd64/gi, '');
  const parts = plain.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? [];
  const lower = parts.map((part) => part.toLowerCase());
  const sentence = ` ${lower.join(' ')} `;
  return [
    ...new Set(lower.filter((word) => words.has(word))),
    ...phrases.filter((phrase) => sentence.includes(` ${phrase} `)),
    ...chinese.filter((name) => plain.includes(name)),
  ];
}
