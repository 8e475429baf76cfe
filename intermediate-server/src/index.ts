// What tests and benchmarks import.
export * from './policy-names.js';
export * from './control-pauses.js';
export * from './limits-section.js';
export * from './limit-metrics.js';
export * from './relay-config.js';
export * from './relay-server.js';
export * from './journal-records.js';
export * from './journal-file.js';
export * from './client-journal.js';
export * from './return-prompts.js';
export * from './relay-metrics.js';
export * from './relay-outcomes.js';
export * from './revocation-timer.js';
export * from './turned-away.js';
export * from './relay-worker.js';
export * from './worker-pool.js';
export { workersWarning } from './relay-parent.js';
export * from './trusted-issuers.js';
