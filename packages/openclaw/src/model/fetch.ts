/** Bytes behind an address that the caller gave. */
import { failure } from '@open-claw/core/graph';

/** Throws OC-FETCH-01. */
export async function fetchBytes(url: URL, signal?: AbortSignal): Promise<Uint8Array> {
  const fail = (reason: string, cause?: unknown): Error =>
    failure('OC-FETCH-01', { url: url.href, reason }, { kind: 'unavailable', cause });
  if (!['http:', 'https:', 'file:'].includes(url.protocol)) throw fail('not a web address');
  let response: Response;
  try {
    response = await fetch(url, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw fail(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (!response.ok) throw fail(`status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
