/** Serves built packages to a browser: static files below the repository, a page, and a suite. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, posix } from 'node:path';
import { repository } from '../lib.mjs';

/** @type {Readonly<Record<string, string>>} */
const types = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.map': 'application/json',
};

/** Packages that a page may import. */
const folders = [
  'packages/core',
  'packages/conformance',
  'packages/formats',
  'devices/wasm',
  'devices/webgpu',
];

/** Where a page finds them: what Node reads from their `exports`. */
const imports = {
  ...Object.fromEntries(folders.flatMap(doorsOf)),
  'fflate/browser': '/node_modules/fflate/esm/browser.js',
};

/** @param {string} folder @returns {[string, string][]} */
function doorsOf(folder) {
  const manifest = JSON.parse(readFileSync(join(repository, folder, 'package.json'), 'utf8'));
  /** @type {[string, { browser?: string, default: string }][]} */
  const doors = Object.entries(manifest.exports);
  return doors.map(([entry, door]) => [
    posix.join(manifest.name, entry),
    `/${posix.join(folder, door.browser ?? door.default)}`,
  ]);
}

/** Files that a page may read. */
const served = [
  /^\/(packages|devices)\/[a-z-]+\/(dist|rolled)\//,
  /^\/node_modules\/fflate\/esm\/browser\.js$/,
  /^\/scripts\/browser\/page\.mjs$/,
];

const page = `<!doctype html><meta charset="utf-8"><title>exam</title>
<script type="importmap">${JSON.stringify({ imports })}</script>`;

/** @typedef {{ readonly address: string, close(): Promise<void> }} Site */

/**
 * A site on this machine only; files are served from the folders of built packages alone.
 * @param {string} [archive] path of a suite, served as /suite
 * @returns {Promise<Site>}
 */
export async function serve(archive) {
  const server = createServer(async (request, response) => {
    // A page gets shared memory, which threads of WebAssembly need, only apart from others.
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (path === '/') {
      response.setHeader('content-type', 'text/html').end(page);
      return;
    }
    try {
      const isSuite = path === '/suite' && archive !== undefined;
      const type = isSuite ? 'application/octet-stream' : types[extname(path)];
      if (type === undefined || !(isSuite || served.some((each) => each.test(path)))) throw path;
      const content = await readFile(isSuite ? archive : join(repository, path));
      response.setHeader('content-type', type).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(undefined));
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return {
    address: `http://127.0.0.1:${port}/`,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}
