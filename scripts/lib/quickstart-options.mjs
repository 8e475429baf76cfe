// The options of npm run quickstart, checked before the minutes that a first install may take.

import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SetupError } from './run-command.mjs';

export const USAGE = `npm run quickstart [-- options]: a whole overlay on this machine, until Ctrl-C

  --once              make one request through the overlay, say how it went, and stop
  --port N            local TCP port that leads to the private app (default 8080; 0: any free one)
  --relay-port N      UDP port of the relay (default 4433; 0: any free one)
  --dir DIR           where the throw-away PKI and configuration go (default certs/dev)
  --help              this text`;

/** An option that cannot be used: exit code 2. */
class UsageError extends SetupError {
  exitCode = 2;
  constructor(message) {
    super(`${message}\n\n${USAGE}`);
  }
}

/**
 * @param {string[]} args
 * @param {string} root what the default directory is relative to; `--dir` is relative to where npm was called
 * @returns {{ help: boolean, once: boolean, port: number, relayPort: number, directory: string, shown: string }}
 *   `shown`: the directory as a person would type it
 * @throws {SetupError} with the usage
 */
export const parseOptions = (args, root) => {
  const { once, port, 'relay-port': relayPort, dir, help } = parse(args);
  // npm runs scripts in the repository; INIT_CWD is where it was called.
  const origin = process.env.INIT_CWD ?? process.cwd();
  const directory = dir === undefined ? resolve(root, 'certs', 'dev') : resolve(origin, dir);
  const shown = relative(origin, directory) || '.';
  return { help, once, port: portOf('--port', port), relayPort: portOf('--relay-port', relayPort), directory, shown: shown.startsWith('..') ? directory : shown };
};

const parse = (args) => {
  try {
    return parseArgs({
      args,
      options: {
        once: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        port: { type: 'string', default: '8080' },
        'relay-port': { type: 'string', default: '4433' },
        dir: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
};

const portOf = (option, text) => {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65535) return Number(text);
  throw new UsageError(`${option} is ${JSON.stringify(text)}; it must be a whole number from 0 to 65535`);
};
