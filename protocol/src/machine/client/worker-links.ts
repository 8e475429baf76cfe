// A connector's links to the other workers of the relay in use: workers share nothing, so an agent finds only the
// connectors that are registered with its own. Owns which worker each link is for; links are link-set.ts's.
//
// They are there only beside a link that is ready, which has said how many workers there are. Each dials its worker again
// whenever it is lost.

import type { WorkerPlace } from '../../wire/control-messages.js';
import type { Command } from './command-queue.js';
import type { Link } from './link.js';

export class WorkerLinks<Extra extends Command> {
  readonly #places = new Map<Link<Extra>, WorkerPlace>();

  get all(): readonly Link<Extra>[] {
    return [...this.#places.keys()];
  }

  has(link: Link<Extra>): boolean {
    return this.#places.has(link);
  }

  placeOf(link: Link<Extra>): WorkerPlace | undefined {
    return this.#places.get(link);
  }

  add(link: Link<Extra>, place: WorkerPlace): void {
    this.#places.set(link, place);
  }

  delete(link: Link<Extra>): void {
    this.#places.delete(link);
  }

  /** Those that are of no use beside `current`: of another relay, of a worker that it has itself, or that is no more. */
  strayFrom({ relayIndex, worker }: Link<Extra>): Link<Extra>[] {
    return this.all.filter((link) => {
      const place = this.#places.get(link)!;
      return link.relayIndex !== relayIndex || !worker || place.count !== worker.count || place.index === worker.index;
    });
  }

  /** Workers that neither `current` nor one of these has. */
  missingBeside({ worker }: Link<Extra>): WorkerPlace[] {
    if (!worker) return [];
    const { count } = worker;
    const taken = new Set([worker.index, ...[...this.#places.values()].map(({ index }) => index)]);
    return Array.from({ length: count }, (_, index) => ({ index, count })).filter(({ index }) => !taken.has(index));
  }

  /** One that may stand in for the link in use. */
  ready(): Link<Extra> | undefined {
    return this.all.find(({ state, drainDeadline }) => state === 'ready' && drainDeadline === undefined);
  }

  /** Whether the link reached another worker than it was to: the relay has another number of them by now. */
  isAstray(link: Link<Extra>): boolean {
    const place = this.#places.get(link);
    return place !== undefined && (link.worker?.index !== place.index || link.worker.count !== place.count);
  }
}
