// npm run bench [-- options]: bench/main.ts, built if needed.

import { startBuilt } from './start-built.mjs';

startBuilt('bench/dist-test/main.js');
