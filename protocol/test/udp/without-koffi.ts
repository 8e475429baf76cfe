// A process in which the optional package koffi is not installed.

import { register } from 'node:module';
import { printModes } from './print-modes.js';

const hooks = `export const resolve = (name, context, next) => {
  if (name === 'koffi') throw new Error('not here');
  return next(name, context);
};`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
await printModes();
