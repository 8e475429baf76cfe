// What tests and benchmarks import.
export * from './agent-config.js';
export * from './agent-health.js';
export * from './agent.js';
export * from './waiting-flows.js';
export * from './tcp-listener.js';
export * from './udp-listener.js';
export * from './agent-settings.js';
