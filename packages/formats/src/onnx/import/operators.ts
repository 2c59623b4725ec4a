/** All operators that can be imported. A new family adds its table here. */
import { mergeTables } from './registry.js';

export const operators = mergeTables();
