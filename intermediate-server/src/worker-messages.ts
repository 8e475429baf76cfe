// What the parent of a relay's workers and a worker tell each other, over the channel that Node opens between them. A worker
// takes nothing from elsewhere: stopping is a message, because whoever signals a whole process group would else signal twice.

import type { FamilySnapshot } from '@ztna/protocol';

/** The descriptor under which a worker finds its socket: after the standard streams and the channel. */
export const WORKER_SOCKET_FD = 4;

export type ToWorker =
  /** Are you there? */
  | { readonly kind: 'ping' }
  /** Read your metrics. */
  | { readonly kind: 'read'; readonly request: number }
  /** Let sessions finish, then exit. */
  | { readonly kind: 'stop' }
  /** Do not wait for sessions any longer. */
  | { readonly kind: 'hurry' };

export type FromWorker =
  /** It takes packets. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'pong' }
  | { readonly kind: 'metrics'; readonly request: number; readonly families: readonly FamilySnapshot[] };
