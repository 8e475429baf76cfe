// A client's link to its relays, for its metrics: how registrations went and how connections ended, counted from
// the machine's events, and the state it is in.

import type { ClientEvent } from '../machine/client/client-events.js';
import type { ClientMachine } from '../machine/client/client-machine.js';
import type { Command } from '../machine/client/command-queue.js';
import { single, type MetricFamily } from './metric-family.js';
import { failureFamily, outcomeFamily, OutcomeCounter } from './outcome-counter.js';
import type { ReadinessFault } from './readiness.js';

export class LinkOutcomes {
  readonly registrations = new OutcomeCounter();
  readonly disconnects = new OutcomeCounter();

  countEvent(event: ClientEvent): void {
    if (event.name === 'registered') this.registrations.count();
    else if (event.name === 'refused') this.registrations.count(event.code);
    else if (event.name === 'disconnected' || event.name === 'protocol_violation') this.disconnects.count(event.code);
  }
}

type Machine = Pick<ClientMachine<Command>, 'registered' | 'rttMs' | 'sessionCount' | 'drainDeadline'>;

/** @param prefix such as `ztna_connector` */
export const linkMetrics = (prefix: string, machine: Machine, outcomes: LinkOutcomes): MetricFamily[] => [
  single('gauge', `${prefix}_registered`, '1 while a relay has accepted the registration and the connection stands', () => (machine.registered ? 1 : 0)),
  outcomeFamily(`${prefix}_registrations_total`, 'Registrations that a relay answered', outcomes.registrations),
  failureFamily(`${prefix}_disconnects_total`, 'Connections to a relay that failed or ended, by why; `no_error` and `draining` are ordinary', outcomes.disconnects),
  {
    type: 'gauge',
    name: `${prefix}_relay_rtt_seconds`,
    help: 'Round trip to the relay in use, as of the last ping; absent until one was answered',
    read: (emit) => {
      if (machine.rttMs !== undefined) emit(machine.rttMs / 1000);
    },
  },
  single('gauge', `${prefix}_relay_draining`, '1 while the relay in use has announced that it will close', () => (machine.drainDeadline === undefined ? 0 : 1)),
  single('gauge', `${prefix}_sessions`, 'Sessions open', () => machine.sessionCount),
];

export const linkFault = ({ registered }: Pick<Machine, 'registered'>): ReadinessFault | undefined =>
  registered ? undefined : { check: 'registered', reason: 'no relay has accepted the registration' };
