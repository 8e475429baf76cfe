// What tests and benchmarks import.
export * from './relay-config.js';
export * from './relay-server.js';
