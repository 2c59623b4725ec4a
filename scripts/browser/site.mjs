/** Serves built packages to a browser: static files below the repository, a page, and a suite. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { repository } from '../lib.mjs';

/** @type {Readonly<Record<string, string>>} */
const types = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.map': 'application/json',
};

/** Where a page finds the packages: what Node reads from their `exports`. */
const imports = {
  '@open-claw/core': '/packages/core/dist/index.js',
  '@open-claw/core/device': '/packages/core/dist/device.js',
  '@open-claw/core/internal': '/packages/core/dist/internal.js',
  '@open-claw/conformance/browser': '/packages/conformance/dist/browser.js',
  '@open-claw/formats': '/packages/formats/dist/index.js',
  '@open-claw/device-wasm': '/devices/wasm/dist/index.js',
  '@open-claw/device-webgpu': '/devices/webgpu/dist/index.js',
  fflate: '/node_modules/fflate/esm/browser.js',
};

/** Files that a page may read. */
const served = [
  /^\/(packages|devices)\/[a-z-]+\/dist\//,
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
