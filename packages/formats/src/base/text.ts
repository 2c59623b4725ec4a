/** UTF-8 to strings and back, strict, and untrusted names made short; needs no host interface. */

const chunk = 8192;

/**
 * Decodes bytes [start, end). Null when they are not well-formed UTF-8 (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF).
 */
export function decodeUtf8(bytes: Uint8Array, start = 0, end = bytes.length): string | null {
  const parts: string[] = [];
  let units: number[] = [];
  let at = start;
  while (at < end) {
    const first = bytes[at] as number;
    if (first < 0x80) {
      units.push(first);
      at += 1;
    } else {
      const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      if (first < 0xc2 || first > 0xf4 || at + length > end) return null;
      let point = first & (0x7f >> length);
      for (let i = 1; i < length; i++) {
        const next = bytes[at + i] as number;
        if ((next & 0xc0) !== 0x80) return null;
        point = point * 64 + (next & 0x3f);
      }
      if (length === 3 && (point < 0x800 || (point >= 0xd800 && point <= 0xdfff))) return null;
      if (length === 4 && (point < 0x10000 || point > 0x10ffff)) return null;
      if (point < 0x10000) units.push(point);
      else units.push(0xd7c0 + (point >> 10), 0xdc00 + (point & 0x3ff));
      at += length;
    }
    if (units.length >= chunk) {
      parts.push(String.fromCharCode(...units));
      units = [];
    }
  }
  if (units.length > 0) parts.push(String.fromCharCode(...units));
  return parts.length === 1 ? (parts[0] as string) : parts.join('');
}

/** Encodes a string; a lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let at = 0;
  for (const character of text) {
    let point = character.codePointAt(0) as number;
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    if (point < 0x80) {
      bytes[at++] = point;
    } else if (point < 0x800) {
      bytes[at++] = 0xc0 | (point >> 6);
      bytes[at++] = 0x80 | (point & 0x3f);
    } else if (point < 0x10000) {
      bytes[at++] = 0xe0 | (point >> 12);
      bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[at++] = 0x80 | (point & 0x3f);
    } else {
      bytes[at++] = 0xf0 | (point >> 18);
      bytes[at++] = 0x80 | ((point >> 12) & 0x3f);
      bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[at++] = 0x80 | (point & 0x3f);
    }
  }
  return bytes.slice(0, at);
}

/** A name from a file for an error's place line, where one long name must not hide the rest. */
export function shortName(name: string): string {
  return name.length > 48 ? `${name.slice(0, 45)}…` : name;
}
