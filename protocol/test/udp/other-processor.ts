// A process that believes to run on another processor.

import { printModes } from './print-modes.js';

Object.defineProperty(process, 'arch', { value: 'mips' });
await printModes();
