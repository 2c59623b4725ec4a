/** Switches for looking inside, set once by the front door (CLAW_DEBUG); 0 is silent. */
export type DebugLevel = 0 | 1 | 2 | 3 | 4 | 5;

interface Debug {
  level: DebugLevel;
  /** Where lines go; core itself has no console. */
  write: (line: string) => void;
}

export const debug: Debug = { level: 0, write: () => {} };

/** Writes a line when the level is at least `level`: 1 kernels and times, 2 schedule, 3 tile
 * programs, 4 source, 5 rewrites. */
export function trace(level: DebugLevel, line: () => string): void {
  if (debug.level >= level) debug.write(line());
}
