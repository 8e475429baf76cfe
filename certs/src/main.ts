#!/usr/bin/env node
// ztna-certs: reads arguments, runs one command, maps errors to exit codes.

import { runProgram } from '@ztna/protocol';
import { createProgram, NAME } from './program.js';

await runProgram(NAME, () => createProgram().parseAsync());
