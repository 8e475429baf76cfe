// Watches the processes of a run for what no flow shows: ends nobody asked for, complaints on standard error, events of a
// fault of our own. Keeps their logs within bounds.

import type { ManagedProcess } from '../harness/managed-process.js';

const CHECK_INTERVAL_MS = 1_000;
/** Debug events beyond it are forgotten, oldest first. */
const MAX_EVENTS = 6_000;
/** Certificate and key are written one after the other, and a relay that looks in between says so; it looks again. */
const EXPECTED_ERRORS: ReadonlySet<string> = new Set(['reload_refused']);
/** What a started process is asked for later on. */
const KEPT_EVENTS: ReadonlySet<string> = new Set(['listening', 'registered']);

interface Watched {
  readonly name: string;
  readonly process: ManagedProcess;
  reportedLines: number;
  readonly reportedEvents: Set<unknown>;
}

export class ProcessWatch {
  readonly all: Watched[] = [];
  readonly #onFault: (what: string) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(onFault: (what: string) => void) {
    this.#onFault = onFault;
    this.#timer = setInterval(() => this.#check(), CHECK_INTERVAL_MS);
  }

  add(name: string, process: ManagedProcess): void {
    this.all.push({ name, process, reportedLines: 0, reportedEvents: new Set() });
    void process.exited.then((exit) => {
      if (exit !== 0 && exit !== 'SIGKILL') this.#onFault(`${name} ended with ${exit}: ${process.stderrLines.join(' ').slice(0, 500)}`);
    });
  }

  stop(): void {
    this.#check();
    clearInterval(this.#timer);
  }

  #check(): void {
    for (const watched of this.all) {
      const { name, process } = watched;
      for (const line of process.stderrLines.slice(watched.reportedLines)) this.#onFault(`${name} wrote: ${line}`);
      watched.reportedLines = process.stderrLines.length;
      for (const event of process.events) {
        const isError = (event.level === 'error' || event.level === 'fatal') && !EXPECTED_ERRORS.has(event.event);
        if (!isError || watched.reportedEvents.has(event)) continue;
        watched.reportedEvents.add(event);
        this.#onFault(`${name} logged: ${JSON.stringify(event)}`);
      }
      trim(process);
    }
  }
}

const trim = ({ events }: ManagedProcess): void => {
  if (events.length <= MAX_EVENTS) return;
  const old = events.splice(0, events.length - MAX_EVENTS / 2);
  events.unshift(...old.filter(({ event, level }) => KEPT_EVENTS.has(event) || (level !== 'debug' && events.length < MAX_EVENTS)));
};
