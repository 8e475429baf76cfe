// What tests and benchmarks import.
export * from './limits-section.js';
export * from './relay-config.js';
export * from './relay-server.js';
export * from './relay-metrics.js';
export * from './relay-outcomes.js';
export * from './revocation-timer.js';
