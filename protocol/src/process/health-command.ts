// The `health` subcommand of every long-running program: its options, its one line of output, its exit code.

import type { z } from 'zod';
import { loadConfig } from '../config/load-config.js';
import { queryHealth, type HealthQueryConfig } from '../observe/health-query.js';
import { EXIT_CODES } from './run-program.js';

/** What commander hands to the action. */
export interface HealthOptions {
  readonly config: string;
  readonly live?: boolean;
}

/** For commander's `command`, with one `-c` option beside it. */
export const HEALTH_DESCRIPTION = 'ask the running process whether it is ready; exit 0 if so, 1 if not';
export const LIVE_OPTION = ['--live', 'ask only whether it is alive'] as const;

/**
 * Prints `ready`, `alive`, or why not, and sets the exit code.
 *
 * @throws ZtnaError when the configuration does not load or has no `health` section
 */
export const runHealth = async <S extends z.ZodType<HealthQueryConfig>>({ config: path, live = false }: HealthOptions, schema: S): Promise<void> => {
  const { healthy, text } = await queryHealth(loadConfig(path, schema).config, { live });
  process.stdout.write(`${text}\n`);
  process.exitCode = healthy ? EXIT_CODES.ok : EXIT_CODES.failed;
};
