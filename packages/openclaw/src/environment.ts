/** What the environment says: the language of texts (LANG) and how much to tell (CLAW_DEBUG). */
import { type DebugLevel, debug, setLanguage } from '@open-claw/core/face';

const levels: readonly string[] = ['0', '1', '2', '3', '4', '5'];

export type TextLanguage = 'en' | 'zh';

/** LC_ALL wins over LC_MESSAGES and LANG, as everywhere on POSIX. */
export function languageOf(env: Readonly<Record<string, string | undefined>>): TextLanguage {
  const name = [env['LC_ALL'], env['LC_MESSAGES'], env['LANG']].find((each) => each) ?? '';
  return /^zh/i.test(name) ? 'zh' : 'en';
}

/** Once per process would do; it is cheap and changes nothing the second time. */
export async function applyEnvironment(): Promise<void> {
  const level = process.env['CLAW_DEBUG'] ?? '0';
  if (levels.includes(level)) {
    debug.level = Number(level) as DebugLevel;
    debug.write = (line) => void process.stderr.write(`${line}\n`);
  }
  await setLanguage(languageOf(process.env));
}
