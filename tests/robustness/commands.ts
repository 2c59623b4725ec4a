/** Runs `claw` in child processes with little memory, and folders that tests clean up. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Ended {
  readonly exit: number;
  readonly text: string;
  readonly ms: number;
  /** Bytes by which resident memory grew. */
  readonly growth: number;
  /** Files in the folder that was watched. */
  readonly written: readonly string[];
}

export interface ClawCommand {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly watch?: string;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export const english = { LANG: 'C', LC_ALL: 'C' } as const;
export const chinese = { LANG: 'zh_CN.UTF-8', LC_ALL: 'zh_CN.UTF-8' } as const;

export const temporary = (): string => mkdtempSync(join(tmpdir(), 'claw-robust-'));

/** All commands in one child process of 256 MB of script memory. */
export function runAll(commands: readonly ClawCommand[], folder: string): readonly Ended[] {
  const file = join(folder, 'commands.json');
  writeFileSync(file, JSON.stringify({ commands }));
  const args = ['--max-old-space-size=256', '--expose-gc', here('./child.mjs'), file];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 120_000 });
  if (child.status !== 0) throw new Error(`the child ended with ${child.status}: ${child.stderr}`);
  return (JSON.parse(readFileSync(file, 'utf8')) as { results: Ended[] }).results;
}

/** One real process of the command. */
export function claw(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { readonly exit: number | null; readonly out: string; readonly err: string } {
  const bin = here('../../packages/openclaw/bin/claw.js');
  const child = spawnSync(process.execPath, ['--max-old-space-size=256', bin, ...words], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, ...english, ...env },
  });
  return { exit: child.status, out: child.stdout, err: child.stderr };
}
