/**
 * Attention as one kernel on every device that is there, against the interpreter within the bound
 * of the composite.
 */
import { closeDevices } from '@open-claw/core';
import { afterAll, describe, expect, it } from 'vitest';
import { checkAttention, chosenPrograms, randomPrograms } from './attention-programs.js';
import { useDevices } from './devices.js';

const found = await useDevices();
const ids = found.flatMap((id) => (id === 'native' ? [id, 'native/avx2', 'native/generic'] : [id]));

afterAll(closeDevices);

describe.each(ids)('attention on %s', (id) => {
  // Instruction sets beside the best one differ in tiles only.
  const some = <T>(list: readonly T[]): readonly T[] =>
    id.includes('/') ? list.filter((_, i) => i % 3 === 0) : list;

  it('agrees with its body', async () => {
    const programs = some(chosenPrograms);
    const launches = await checkAttention(id, programs);
    if (!id.startsWith('template')) expect(launches).toBe(programs.length);
  });

  it('agrees for random sizes and masks', async () => {
    await checkAttention(id, some(randomPrograms));
  });
});
