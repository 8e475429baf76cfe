// The client-side state machines: an agent's and a connector's, over the link both have to a relay.
export * from './agent-machine.js';
export * from './backoff.js';
export * from './client-events.js';
export * from './client-limits.js';
export * from './connector-machine.js';
export * from './link-failure.js';
export * from './link-types.js';
export type { LinkUser } from './link-user.js';
export * from './link-reporter.js';
export * from './link.js';
export type { LinkedSession } from './linked-sessions.js';
export type { OpenRequest, RequestId } from './open-requests.js';
