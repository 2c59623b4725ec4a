/** Serves built packages to a browser: static files below the repository, and a page. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.map': 'application/json',
};

/** Where a page finds the packages: what Node reads from their `exports`. */
const imports = {
  '@open-claw/core': '/packages/core/dist/index.js',
  '@open-claw/core/device': '/packages/core/dist/device.js',
  '@open-claw/core/internal': '/packages/core/dist/internal.js',
  '@open-claw/formats': '/packages/formats/dist/index.js',
  '@open-claw/device-wasm': '/devices/wasm/dist/index.js',
  '@open-claw/device-webgpu': '/devices/webgpu/dist/index.js',
};

const page = `<!doctype html><meta charset="utf-8"><title>exam</title>
<script type="importmap">${JSON.stringify({ imports })}</script>`;

export interface Site {
  readonly address: string;
  close(): Promise<void>;
}

/** A site on this machine only; files are served from the folders of built packages alone. */
export async function serve(): Promise<Site> {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (path === '/') {
      response.setHeader('content-type', 'text/html').end(page);
      return;
    }
    const type = types[extname(path)];
    try {
      if (type === undefined || !/^\/(packages|devices)\/[a-z-]+\/dist\//.test(path)) throw path;
      const content = await readFile(join(root, path));
      response.setHeader('content-type', type).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { address: `http://127.0.0.1:${port}/`, close };
}
