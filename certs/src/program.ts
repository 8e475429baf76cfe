// The program ztna-certs: its commands and their options. Owns nothing that runs; main.ts does.

import { programOutput, VERSION } from '@ztna/protocol';
import { Command } from 'commander';
import { registerInit } from './commands/init.js';
import { registerInspect } from './commands/inspect.js';
import { registerIssue } from './commands/issue.js';
import { registerKeygen } from './commands/keygen.js';
import { registerList } from './commands/list.js';
import { registerRenew } from './commands/renew.js';
import { registerRetryKey } from './commands/retry-key.js';
import { registerRevoke } from './commands/revoke.js';

export const NAME = 'ztna-certs';

/** To be parsed once; throws commander's errors instead of exiting. */
export const createProgram = (): Command => {
  const program = new Command(NAME)
    .description('the private CA, certificates and registration keys of a ztna overlay')
    .version(VERSION)
    .configureOutput(programOutput(NAME))
    .exitOverride();
  for (const register of [registerInit, registerIssue, registerRenew, registerList, registerRevoke, registerInspect, registerKeygen, registerRetryKey]) register(program);
  return program;
};
