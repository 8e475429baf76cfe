// What every command-line process does alike: run, report a fault in one line, exit with a code that
// scripts can rely on, and stop when asked to.

import { ZtnaError } from '../errors.js';

/** Exit codes that scripts may rely on. */
export const EXIT_CODES = {
  ok: 0,
  /** Refused by a peer, failed while running, or (`ztna-certs inspect`) something found wrong. */
  failed: 1,
  /** Nothing was done: arguments, configuration or files are at fault. */
  usage: 2,
  /** A fault of ours (sysexits.h EX_SOFTWARE). */
  internal: 70,
} as const;

/** A failure while running that is not the configuration's: exits with `EXIT_CODES.failed`. */
export class RunFailure extends ZtnaError {}

/**
 * Runs a program to its end and sets the exit code. Faults meant for people are one message on
 * standard error; anything else is a bug and shows its stack.
 */
export const runProgram = async (name: string, run: () => Promise<unknown>): Promise<void> => {
  // Unless somebody listens, Node opens its debugger on it: a TCP port where every user of this machine can run code in the process.
  process.on('SIGUSR1', () => undefined);
  try {
    await run();
  } catch (error) {
    process.exitCode = reportFault(name, error);
  }
};

/** Says on standard error what went wrong; returns the exit code for it. */
export const reportFault = (name: string, error: unknown): number => {
  // commander has printed its own message; its exit code 0 is --help and --version.
  if (isCommanderError(error)) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  if (error instanceof RunFailure) {
    // The code is what to look up, in the relay's log and in docs/troubleshooting.md.
    process.stderr.write(`${name}: ${error.code}: ${error.message}\n`);
    return EXIT_CODES.failed;
  }
  if (error instanceof ZtnaError) {
    process.stderr.write(`${name}: ${error.message}\n`);
    return EXIT_CODES.usage;
  }
  process.stderr.write(`${name}: internal fault, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT_CODES.internal;
};

const isCommanderError = (error: unknown): error is { exitCode: number } =>
  error instanceof Error && 'exitCode' in error && 'code' in error && String(error.code).startsWith('commander.');

/** For commander's `configureOutput`: its complaints in the form of ours. */
export const programOutput = (name: string): { outputError: (text: string, write: (text: string) => void) => void } => ({
  outputError: (text, write) => write(`${name}: ${text.replace(/^error: /, '')}`),
});

/** Resolves with the name of the first SIGINT or SIGTERM, or of `more` signals that mean the same to this command. */
export const stopSignal = (...more: readonly NodeJS.Signals[]): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    // For good: a signal that nobody waits for any more must not end a process that is closing in good order.
    for (const signal of ['SIGINT', 'SIGTERM', ...more] as const) process.on(signal, resolve);
  });
