// Which worker of a relay a QUIC packet is for: workers share one UDP port, and the connection id that a packet
// carries says whose it is. Owns the rule for ids; the kernel applies the same to packets (udp/steering-program.ts).
//
//   worker = first four bytes of the destination connection id, big endian, modulo the number of workers
//
// A worker gives out ids that lead to itself, so a connection stays with it whatever address its client has. The first id
// is the client's: any leads to some worker, and who wants a certain one makes up ids until one fits.

import type { WorkerPlace } from '../wire/control-messages.js';

/** The bytes of an id that count. */
export const STEERING_BYTES = 4;

/** Whether packets with this id reach the worker at `place`. Ids have four bytes at least. */
export const leadsTo = (id: Uint8Array, { index, count }: WorkerPlace): boolean => {
  const number = ((id[0]! << 24) | (id[1]! << 16) | (id[2]! << 8) | id[3]!) >>> 0;
  return number % count === index;
};

/**
 * Makes ids until one leads to the worker at `place`: `count` of them on average. The first one where there are no workers.
 * Undefined as soon as `make` has none left.
 */
export const makeLeading = <Id extends Uint8Array | undefined>(make: () => Id, place: WorkerPlace | undefined): Id => {
  for (;;) {
    const id = make();
    if (!id || !place || leadsTo(id, place)) return id;
  }
};
