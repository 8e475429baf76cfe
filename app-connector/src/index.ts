// What tests and benchmarks import.
export * from './connector-config.js';
export * from './connector.js';
export * from './backend-probes.js';
export * from './connector-health.js';
export * from './connector-stats.js';
export * from './service.js';
export * from './flow-quota.js';
export * from './inner-sessions.js';
export * from './connector-settings.js';
