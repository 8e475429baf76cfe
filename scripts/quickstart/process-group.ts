// Everything that quickstart started, together: who runs, who died first, and the end of all in an order that
// leaves nobody complaining about a peer that is gone.

import { ManagedChild, type ChildSpec, type LogEvent } from './child-process.js';
import { QuickstartFailure } from './failure.js';
import type { ProcessRole } from './names.js';

/** Clients before their relay, so that it has nothing to drain; the app last. */
const STOP_ORDER: readonly (readonly ProcessRole[])[] = [['agent', 'connector'], ['relay', 'private app']];
const NOTABLE = new Set(['warn', 'error', 'fatal']);

export interface ProcessGroupInit {
  /** A process was started. */
  readonly onStarted: (pid: number) => void;
  /** A process logged a warning or worse; not while stopping. */
  readonly onNotable: (role: ProcessRole, line: string) => void;
}

export class ProcessGroup {
  /** Rejects with a QuickstartFailure when a process ends that nobody stopped. Never resolves. */
  readonly failed: Promise<never>;
  readonly #init: ProcessGroupInit;
  readonly #children: ManagedChild[] = [];
  #fail!: (failure: QuickstartFailure) => void;
  #stopping = false;

  constructor(init: ProcessGroupInit) {
    this.#init = init;
    this.failed = new Promise((_resolve, reject) => (this.#fail = reject));
    this.failed.catch(() => undefined);
    // Whatever happens to this process, short of SIGKILL, the children do not outlive it.
    process.once('exit', () => this.kill());
  }

  get children(): readonly ManagedChild[] {
    return this.#children;
  }

  start(spec: ChildSpec): ManagedChild {
    if (this.#stopping) throw new QuickstartFailure('stopped while starting.');
    const child = new ManagedChild(spec, (event: LogEvent, line) => {
      if (!this.#stopping && NOTABLE.has(event.level)) this.#init.onNotable(spec.role, line);
    });
    this.#children.push(child);
    if (child.pid !== undefined) this.#init.onStarted(child.pid);
    void child.exited.then(() => {
      if (!this.#stopping) this.#fail(child.failure(`the ${child.role} ${child.ending ?? 'ended'}.`));
    });
    return child;
  }

  /** Ends all of them; resolves when none is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const roles of STOP_ORDER) {
      await Promise.all(this.#children.filter(({ role }) => roles.includes(role)).map((child) => child.stop()));
    }
  }

  /** Ends all of them without asking. */
  kill(): void {
    this.#stopping = true;
    for (const child of this.#children) child.kill();
  }
}
