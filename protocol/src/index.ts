// What the processes import. Grouped by folder; the testing helpers are a separate entry point.
export * from './failure-codes.js';
export * from './errors.js';
export * from './identity.js';
export * from './wire/control-messages.js';
