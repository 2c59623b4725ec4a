/** A row as a vendor would write it: nothing but this stands for it anywhere. */
import { gpuDialects } from '@open-claw/core/device';
import type { GpuRow } from '../index.js';

/** A vendor that nobody knows: other symbols, other words in kernels, other numbers. */
export const newcomer: GpuRow = {
  name: 'newcomer',
  title: 'Newcomer',
  dialect: {
    name: 'newcomer-c',
    tokens: {
      ...gpuDialects.cuda,
      thread: 'ncThread.x',
      block: ['ncBlock.x', 'ncBlock.y', 'ncBlock.z'],
      blocks: ['ncGrid.x', 'ncGrid.y'],
    },
  },
  libraries: ['libnewcomer.so'],
  folders: [],
  symbols: {
    deviceCount: 'ncDevices',
    deviceSet: 'ncUse',
    allocate: 'ncTake',
    release: 'ncGive',
    copy: 'ncMove',
    streamCreatePlain: 'ncQueue',
    streamQuery: 'ncIsIdle',
    streamDestroy: 'ncQueueEnd',
    moduleLoad: 'ncLoad',
    moduleFunction: 'ncFind',
    launchDims: 'ncRun',
    errorText: 'ncSay',
  },
  offline: {
    command: 'nccc',
    ending: '.nc',
    arguments: ['--chip={architecture}', '{input}', '-o', '{output}'],
    format: 'nc',
  },
  visible: 'NC_VISIBLE',
  architectures: [
    {
      name: 'nc1',
      warp: 128,
      maxGroup: 512,
      sharedBytes: 28 * 1024,
      cores: 8,
      memoryBytes: 2 ** 30,
    },
  ],
  maxGridX: 65535,
  knownCodes: false,
  install: { driver: 'its driver', compiler: 'nccc' },
  evidence: 'none: made up for a test',
  unconfirmed: [],
};
