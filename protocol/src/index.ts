// What the processes import. Grouped by folder; the testing helpers are a separate entry point.
export * from './failure-codes.js';
export * from './errors.js';
export * from './identity.js';
export * from './wire/control-messages.js';
export * from './udp/datagram-socket.js';
export * from './udp/plain-socket.js';
export * from './quic/port.js';
export { createQuicConfig } from './quic/quiche-adapter.js';
export * from './quic/transport-profiles.js';
export * from './quic/connection-end.js';
export * from './quic/endpoint.js';
export * from './quic/endpoint-connection.js';
export * from './quic/quic-stream.js';
export * from './quic/timer-wheel.js';
export * from './quic/long-header.js';
export * from './quic/retry-tokens.js';
