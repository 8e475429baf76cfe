#!/usr/bin/env node
// ztna-certs: reads arguments, runs one command, maps errors to exit codes.

import { programOutput, runProgram, VERSION } from '@ztna/protocol';
import { Command } from 'commander';
import { registerInit } from './commands/init.js';
import { registerInspect } from './commands/inspect.js';
import { registerIssue } from './commands/issue.js';
import { registerKeygen } from './commands/keygen.js';
import { registerList } from './commands/list.js';
import { registerRenew } from './commands/renew.js';
import { registerRetryKey } from './commands/retry-key.js';
import { registerRevoke } from './commands/revoke.js';

const NAME = 'ztna-certs';

const program = new Command(NAME)
  .description('the private CA, certificates and registration keys of a ztna overlay')
  .version(VERSION)
  .configureOutput(programOutput(NAME))
  .exitOverride();
for (const register of [registerInit, registerIssue, registerRenew, registerList, registerRevoke, registerInspect, registerKeygen, registerRetryKey]) register(program);

await runProgram(NAME, () => program.parseAsync());
