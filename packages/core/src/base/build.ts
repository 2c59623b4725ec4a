/**
 * Which build of this package runs. Rolling replaces the word by a hash of all that it wrote;
 * `unrolled` names nothing, so nothing is kept between runs of code that may change.
 */
export const build: string = 'unrolled-code';

export const isRolled = (): boolean => !build.startsWith('unrolled');
