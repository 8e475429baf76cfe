#!/usr/bin/env node
// ztna-certs: reads arguments, runs one command, maps errors to exit codes (commands/exit-codes.ts).

import { Command, CommanderError } from 'commander';
import { ZtnaError } from '@ztna/protocol';
import { EXIT } from './commands/exit-codes.js';
import { registerInit } from './commands/init.js';
import { registerInspect } from './commands/inspect.js';
import { registerIssue } from './commands/issue.js';
import { registerKeygen } from './commands/keygen.js';

const program = new Command('ztna-certs')
  .description('the private CA, certificates and registration keys of a ztna overlay')
  .configureOutput({ outputError: (text, write) => write(`ztna-certs: ${text.replace(/^error: /, '')}`) })
  .exitOverride();

for (const register of [registerInit, registerIssue, registerInspect, registerKeygen]) register(program);

try {
  program.parse();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  // Commander has printed its own line by now; its 0 is --help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.refused;
  if (error instanceof ZtnaError) {
    process.stderr.write(`ztna-certs: ${error.message.replace(/\s*\n\s*/g, ' ')}\n`);
    return EXIT.refused;
  }
  process.stderr.write(`ztna-certs: internal fault: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.internal;
}
