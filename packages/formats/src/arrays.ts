/** Door of NumPy files alone: who reads no model need not load its reader. */
export { readNpy, writeNpy } from './npy.js';
export { readNpz } from './npz.js';
