// What tests and benchmarks import.
export * from './limits-section.js';
export * from './relay-config.js';
export * from './relay-server.js';
