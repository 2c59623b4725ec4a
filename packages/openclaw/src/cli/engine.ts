/** What the command line switches on in the engine: its process is its own, a library's is not. */
import { setFlagsFromString } from 'node:v8';

/** Instructions and memories of WebAssembly that later versions of Node.js have without a word. */
const flags = ['--experimental-wasm-relaxed-simd', '--experimental-wasm-memory64'] as const;

/** Works before anything is compiled; other versions do not know the flags, and say so. */
export function switchOnFeatures(version = process.version): void {
  if (!version.startsWith('v20.')) return;
  for (const flag of flags) setFlagsFromString(flag);
}
