/** C, whose printer is loaded when a program is compiled: most starts find theirs compiled. */
import { build } from '../base/build.js';
import { emitLater } from './c-source.js';
import type { Language } from './language.js';

export const cLater: Language = {
  name: 'c',
  build,
  emit: emitLater,
  async ready() {
    await import('./c.js');
  },
};
