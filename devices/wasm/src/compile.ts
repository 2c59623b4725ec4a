/** From bytes to the engine's modules; what is compiled once in this process stays so. */
import { failure } from '@open-claw/core/device/contract';

const compiled = new WeakMap<Uint8Array, WebAssembly.Module>();

/** The module of these bytes. Rejects with the engine's own text. */
export async function moduleOf(bytes: Uint8Array): Promise<WebAssembly.Module> {
  const known = compiled.get(bytes);
  if (known !== undefined) return known;
  try {
    const module = await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
    compiled.set(bytes, module);
    return module;
  } catch (error) {
    throw failure('OC-DEVICE-07', { reason: String(error) }, { cause: error });
  }
}
