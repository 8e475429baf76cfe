// npm run soak [-- options]: test/soak/main.ts, built if needed.

import { startBuilt } from './start-built.mjs';

startBuilt('test/dist-test/soak/main.js');
