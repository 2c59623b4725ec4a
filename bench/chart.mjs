/** A bar chart as SVG: how many times faster than the best of the others, by case. */

/** @typedef {import('./measure.mjs').Result} Result */

const rowHeight = 18;
const left = 230;
const width = 620;
const most = 16;

/** @param {string} text */
const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** On a logarithmic axis from 1/4 to 16. @param {number} ratio */
const place = (ratio) => {
  const at = Math.log2(Math.min(Math.max(ratio, 0.25), most) / 0.25) / Math.log2(most / 0.25);
  return left + at * (width - left - 60);
};

/**
 * @param {readonly Result[]} results
 * @param {readonly import('./contestants.mjs').Contestant[]} contestants
 */
export function chart(results, contestants) {
  const own = new Set(
    contestants.filter(({ engine }) => engine === 'openclaw').map(({ name }) => name),
  );
  const rows = results.flatMap((result) => {
    const ratios = Object.entries(result.ratios ?? {}).filter(([peer]) => peer !== 'node');
    if (!own.has(result.contestant) || ratios.length === 0) return [];
    const [peer, ratio] = ratios.reduce((a, b) => (b[1] < a[1] ? b : a));
    return [{ result, peer, ratio }];
  });
  const height = (rows.length + 2) * rowHeight + 16;
  const bars = rows.map(({ result, peer, ratio }, i) => {
    const y = 24 + i * rowHeight;
    const from = Math.min(place(1), place(ratio));
    const to = Math.max(place(1), place(ratio));
    const value = `${ratio.toFixed(2)} × ${escaped(peer)}`;
    const colour = ratio >= 1 ? '#2a7' : '#c55';
    const label = `${result.case} ${result.threads}T ${result.contestant}`;
    return [
      `<text x="${left - 6}" y="${y + 12}" text-anchor="end">${escaped(label)}</text>`,
      `<rect x="${from.toFixed(1)}" y="${y + 3}" width="${(to - from).toFixed(1)}" ` +
        `height="${rowHeight - 6}" fill="${colour}"/>`,
      `<text x="${(to + 4).toFixed(1)}" y="${y + 12}">${value}</text>`,
    ].join('\n');
  });
  const ticks = [0.25, 0.5, 1, 2, 4, 8, 16].map((value) => {
    const x = place(value).toFixed(1);
    const colour = value === 1 ? '#444' : '#ddd';
    return (
      `<line x1="${x}" y1="20" x2="${x}" y2="${height - 16}" stroke="${colour}"/>` +
      `<text x="${x}" y="14" text-anchor="middle">${value} ×</text>`
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width + 120}" height="${height}" ` +
      'font-family="sans-serif" font-size="11">',
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...ticks,
    ...bars,
    '</svg>\n',
  ].join('\n');
}
