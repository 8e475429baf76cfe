// npm run quickstart [-- options]: from a fresh clone to a running overlay. Owns the steps before anything is
// compiled (options, dependencies, build); everything after that is scripts/quickstart/quickstart.ts.

import { checkNode, ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';

const main = async () => {
  checkNode();
  // Not above: an older Node could not even link it.
  const { parseOptions, USAGE } = await import('./lib/quickstart-options.mjs');
  const options = parseOptions(process.argv.slice(2), root);
  if (options.help) return console.log(USAGE);
  const started = performance.now();
  // What tests and lint need is left out: it doubles the download.
  ensureInstalled({ dev: false });
  ensureBuilt({ tests: false });
  const { runQuickstart } = await import('./dist/quickstart.js');
  process.exitCode = await runQuickstart({ ...options, root, started });
};

try {
  await main();
} catch (error) {
  console.error(error instanceof SetupError ? `quickstart: ${error.message.trim()}` : error);
  process.exitCode = error?.exitCode ?? 1;
}
