/** CRC-32 as in zip and gzip (ISO 3309, polynomial 0xEDB88320). */

const makeTable = (): Uint32Array =>
  Uint32Array.from({ length: 256 }, (_, i) => {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });

let known: Uint32Array | undefined;

export function crc32(bytes: Uint8Array): number {
  known ??= makeTable();
  const table = known;
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 255] as number);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
