/**
 * The ONNX backend suite in headless Chromium, as `claw conform --onnx` runs it in Node.js:
 * `node scripts/conform-browser.mjs --onnx ARCHIVE --device webgpu:0|wasm [--filter RE]
 * [--time-limit MILLISECONDS] [--json FILE]`. Exits 0 where nothing failed, crashed or hung, 1
 * otherwise, 2 on wrong use, 3 where the browser or its device is missing.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isClean } from '@open-claw/conformance/browser';
import { jsonText } from '../packages/openclaw/dist/cli/result.js';
import { openChromium } from './browser/chromium.mjs';
import { serve } from './browser/site.mjs';
import { conformInBrowser } from './browser/suite.mjs';

const { values } = parseArgs({
  options: {
    onnx: { type: 'string' },
    device: { type: 'string', default: 'webgpu:0' },
    filter: { type: 'string' },
    'time-limit': { type: 'string' },
    json: { type: 'string' },
  },
});

/** @param {string} archive @returns {Promise<number>} exit code */
async function run(archive) {
  const browser = await openChromium();
  if (typeof browser === 'string') {
    console.error(`conform-browser needs ${browser}`);
    return 3;
  }
  const site = await serve(archive);
  let done = 0;
  try {
    const { facts, report } = await conformInBrowser({
      browser,
      archive,
      address: site.address,
      device: values.device,
      ...(values.filter === undefined ? {} : { filter: new RegExp(values.filter) }),
      ...(values['time-limit'] === undefined ? {} : { timeLimit: Number(values['time-limit']) }),
      onCase: ({ name, outcome, reason }, total) => {
        done++;
        if (process.stderr.isTTY) process.stderr.write(`\r${done}/${total} `);
        if (['failed', 'crashed', 'timeout'].includes(outcome)) {
          console.log(`${name}  ${outcome}  ${reason ?? ''}`);
        }
      },
    });
    const { suite: _, cases, ...counts } = report;
    console.log(`${facts.device} (${facts.driver}, ${facts.evidence})`);
    for (const [name, count] of Object.entries(counts)) console.log(`${name}  ${count}`);
    if (values.json !== undefined) {
      writeFileSync(values.json, jsonText('conform', facts, { ...report }));
    }
    return cases.length > 0 && isClean(report) ? 0 : 1;
  } finally {
    await browser.close();
    await site.close();
  }
}

if (values.onnx === undefined || !existsSync(values.onnx)) {
  console.error('conform-browser: --onnx names the archive of the ONNX backend cases');
  process.exitCode = 2;
} else {
  process.exitCode = await run(values.onnx);
}
