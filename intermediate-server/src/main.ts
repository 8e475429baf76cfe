#!/usr/bin/env node
// intermediate-server: what runs for long starts over with the better allocator first, before anything large is loaded.

import { preferJemalloc } from '@ztna/protocol/allocator';

if (process.argv[2] === 'run') await preferJemalloc();
await import('./commands.js');
