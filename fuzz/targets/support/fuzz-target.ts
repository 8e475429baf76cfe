// What a target is: one decoder, and what must hold for whatever it is given. The targets are the files beside this folder.

/** What a result may cost: at most `base` + `perByte` × the input's length, in bytes of memory. */
export interface MemoryBound {
  readonly base: number;
  readonly perByte: number;
}

export interface FuzzTarget {
  /** The functions it drives, for people. */
  readonly decodes: string;
  /** The longest input worth trying: the decoder's own bound, and a little more where there is one. */
  readonly maxBytes: number;
  readonly memory: MemoryBound;
  /** Words and byte strings that chance would take long to spell. */
  readonly dictionary?: readonly (string | Uint8Array)[];
  /**
   * Decodes `input`, checks what the target promises, and returns everything it learned, to be compared with
   * what the same bytes gave elsewhere in memory. Must leave `input` as it is, and depend on nothing else.
   * @throws Violation where a promise is broken; anything else thrown is the decoder's own fault
   */
  run(input: Uint8Array): unknown;
  /** Encoded examples, to begin with; once there is a corpus they only complete it. */
  seeds(): Iterable<Uint8Array>;
}

/** A promise of a target that did not hold. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** @throws Violation with `message` unless `holds` */
export function ensure(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Violation(message);
}
