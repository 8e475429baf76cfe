// `npm run soak`: options, Ctrl-C, the last line and the exit code: 0 only when nothing was lost or leaked.

import { randomInt } from 'node:crypto';
import { runSoak } from './soak.js';
import { parseSoakOptions, USAGE } from './soak-options.js';

/** As a shell says of a program that SIGINT ended. */
const EXIT_INTERRUPTED = 130;

const main = async (): Promise<number> => {
  const parsed = parseSoakOptions(process.argv.slice(2), randomInt(2 ** 32));
  if (parsed.ok === 'help') {
    console.log(USAGE);
    return 0;
  }
  if (!parsed.ok) {
    console.error(`soak: ${parsed.reason}\n\n${USAGE}`);
    return 2;
  }
  const { options } = parsed;
  const { minutes, seed, loss, reordering, duplication, delayMs } = options;
  console.log(`soak: ${minutes} min, seed ${seed}; ${loss * 100} % lost, ${reordering * 100} % reordered, ${duplication * 100} % duplicated, ${delayMs} ms one way, on each link`);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const result = await runSoak(options, (line) => console.log(line), stop.signal);
  if (!result) {
    console.log('soak: interrupted');
    return process.exit(EXIT_INTERRUPTED);
  }
  const { flows, bytes, lost, leaked, logs } = result;
  const failed = lost + leaked > 0;
  if (logs) console.log(`what each process logged: ${logs}`);
  console.log(`soak: ${flows} flows, ${bytes} bytes, ${lost} lost, ${leaked} leaked${failed ? `, seed ${seed}` : ''}`);
  return failed ? 1 : 0;
};

process.exitCode = await main();
