/** The pages of errors are what the message tables say, and every link of an error leads there. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { messagesEnglish } from '../../packages/core/src/base/messages.en.js';
import { messagesChinese } from '../../packages/core/src/base/messages.zh.js';
import { errorPage } from '../../scripts/make-error-pages.mjs';

const update = 'run `node scripts/make-error-pages.mjs` after a build';

describe('docs of errors', () => {
  for (const language of ['en', 'zh'] as const) {
    const page = readFileSync(new URL(`../../docs/${language}/errors.md`, import.meta.url), 'utf8');

    it(`${language} is up to date`, () => {
      const table = language === 'en' ? messagesEnglish : messagesChinese;
      expect(page, update).toBe(errorPage(table, language));
    });

    it(`${language} has an anchor for every code`, () => {
      const headings = new Set([...page.matchAll(/^### (\S+)$/gm)].map((match) => match[1]));
      expect([...headings]).toEqual(Object.keys(messagesEnglish).sort());
    });
  }
});
