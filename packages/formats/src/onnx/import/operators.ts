/** All operators that can be imported. A new family adds its table here. */
import { castOperators } from './casts.js';
import { constantOperators } from './constants.js';
import { elementwiseOperators } from './elementwise.js';
import { mergeTables } from './registry.js';
import { shapeOperators } from './shapes.js';
import { sliceOperators } from './slices.js';

export const operators = mergeTables(
  elementwiseOperators,
  castOperators,
  shapeOperators,
  sliceOperators,
  constantOperators,
);
