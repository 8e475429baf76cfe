// When endpoints flush what was given to them outside of a batch of packets: all at once, in the check phase of the event
// loop's turn. An inner endpoint's flush gives packets to an outer one, which flushes in the same turn then: by a
// setImmediate of its own it would be the next one, a system call and some 10 µs later on an idle machine.

/** An endpoint, as far as this is concerned. */
export interface LateTurn {
  /** Sends; may make others due. */
  flush(): void;
  /** Arms timers: what can wait until everybody has sent. */
  settle(): void;
}

/** Inner to outer is the longest way there is; whoever is due again after it waits for the next turn. */
const MAX_PASSES = 2;

let due: LateTurn[] = [];
let isScheduled = false;

/** Each endpoint once, until its `flush` was called. */
export const scheduleLateTurn = (turn: LateTurn): void => {
  due.push(turn);
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(run);
};

const run = (): void => {
  const flushed: LateTurn[] = [];
  try {
    for (let pass = 0; pass < MAX_PASSES && due.length > 0; pass++) {
      const now = due;
      due = [];
      for (const turn of now) {
        flushed.push(turn);
        turn.flush();
      }
    }
    for (const turn of flushed) turn.settle();
  } finally {
    isScheduled = due.length > 0;
    if (isScheduled) setImmediate(run);
  }
};
