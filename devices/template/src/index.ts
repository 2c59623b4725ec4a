/** Plug-in of the pretend chip: what core asks before and until a device is open. */
import type {
  Absent,
  Binary,
  Device,
  DevicePlugin,
  Found,
  Override,
  Source,
  Target,
} from '@open-claw/core/device';
import { failure, refused, scriptLanguage } from '@open-claw/core/device';
import { type Operators, TemplateDevice } from './device.js';
import { defaultMemoryBytes, templateTarget } from './target.js';

export { TemplateDevice } from './device.js';
export { templateTarget } from './target.js';

export interface TemplateOptions {
  /** Memory of the pretend chip in bytes. */
  readonly memoryBytes?: number;
  /** Composites that the chip computes by operators of its own, and these operators. */
  readonly overrides?: readonly Override[];
  readonly operators?: Operators;
}

const id = 'template:0';

/** Makes the plug-in; `use(templateDevice())` makes the chip known. */
export function templateDevice(options: TemplateOptions = {}): DevicePlugin {
  const memoryBytes = options.memoryBytes ?? defaultMemoryBytes;
  const target: Target = { ...templateTarget, memoryBytes, maxBufferBytes: memoryBytes };
  return {
    contract: 1,
    name: 'template',
    targets: [target],
    // Replace by the language that your compiler reads; a C-like one is a row of a table.
    language: scriptLanguage,
    ...(options.overrides === undefined ? {} : { overrides: options.overrides }),

    // Replace by asking your driver; a card that is not there is an Absent with reason and fix.
    async probe(): Promise<readonly (Found | Absent)[]> {
      return [
        {
          id,
          model: 'Pretend Chip',
          driver: 'none',
          target,
          freeBytes: memoryBytes,
          peers: [],
          marks: ['pretend'],
        },
      ];
    },

    // Replace by your compiler; its own text belongs into the error.
    async compile(source: Source): Promise<Binary> {
      if (source.language !== scriptLanguage.name) {
        throw refused(`source in ${source.language}`, 'this chip takes script');
      }
      const text = source.text ?? '';
      try {
        new Function(text);
      } catch (error) {
        throw failure('OC-DEVICE-07', { reason: String(error) }, { cause: error });
      }
      return {
        format: 'script',
        target: source.target,
        toolchain: 'javascript',
        bytes: new TextEncoder().encode(text),
        entries: source.entries,
      };
    },

    // Replace by opening the card with this ordinal.
    async open(wanted: string): Promise<Device> {
      if (wanted !== id) throw failure('OC-DEVICE-06', { id: wanted }, { kind: 'unavailable' });
      return new TemplateDevice(memoryBytes, options.operators);
    },
  };
}

/** The plug-in with its defaults, which `--plugin` and `CLAW_DEVICE` look for. */
export const plugin: DevicePlugin = templateDevice();
