// What tests and benchmarks import.
export * from './connector-config.js';
export * from './connector.js';
export * from './service.js';
