// Fixtures shared by every package's tests, and by the benchmarks; nothing here runs in production.
export * from './virtual-clock.js';
export * from './seeded-random.js';
export * from './packet-fates.js';
export * from './lossy-network.js';
export * from './shaped-socket.js';
export * from './find-program.js';
export * from './process-cpu.js';
