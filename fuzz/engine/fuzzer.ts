// The search: mutate an input, run it, keep it when it reaches a branch, or a number of times through one, that
// nothing before it did. Owns the loop, the inputs kept and their minimising; files and printing are the caller's.

import { CoverageMap, type Feature } from './coverage-map.js';
import type { FuzzTarget } from '../targets/support/fuzz-target.js';
import { examine, type Finding } from './judge.js';
import { Mutator } from './mutator.js';

export interface FuzzerInit {
  /** Its code instrumented; without, the search is blind. */
  readonly target: FuzzTarget;
  /** In [0, 1); the same numbers make the same search. */
  readonly random: () => number;
  /** Told of every input before it runs. */
  readonly onInput?: (input: Uint8Array) => void;
}

export interface Crash {
  readonly input: Uint8Array;
  readonly finding: Finding;
}

/** Beyond it the search ends: one broken branch would be found again and again. */
export const MAX_CRASHES = 5;
/** Attempts to make a new input shorter. */
const TRIM_ATTEMPTS = 48;

export class Fuzzer {
  execs = 0;
  /** One for each signature. */
  readonly crashes: Crash[] = [];
  readonly #init: FuzzerInit;
  readonly #coverage = new CoverageMap();
  readonly #mutator: Mutator;
  readonly #inputs: Uint8Array[] = [];

  constructor(init: FuzzerInit) {
    this.#init = init;
    const { maxBytes, dictionary = [] } = init.target;
    this.#mutator = new Mutator({
      random: init.random,
      maxBytes,
      dictionary: dictionary.map((word) => (typeof word === 'string' ? Buffer.from(word) : word)),
    });
  }

  get edges(): number {
    return this.#coverage.edges;
  }

  get inputs(): readonly Uint8Array[] {
    return this.#inputs;
  }

  /** Runs an input as it is, and keeps it when it is new. */
  try(input: Uint8Array): Finding | undefined {
    const { finding, fresh } = this.#run(input);
    if (finding) this.#report(input, finding);
    else if (fresh.length > 0) this.#inputs.push(input.slice());
    return finding;
  }

  /** Searches until `isOver`, asked before each input, or MAX_CRASHES. */
  search(isOver: () => boolean): void {
    if (this.#inputs.length === 0) this.#inputs.push(new Uint8Array(0));
    while (this.crashes.length < MAX_CRASHES && !isOver()) {
      const child = this.#mutator.mutate(this.#pick(), this.#pick());
      const { finding, fresh } = this.#run(child);
      if (finding) this.#report(child, finding);
      else if (fresh.length > 0) this.#inputs.push(this.#trim(child, fresh));
    }
  }

  /** Few and short ones of the inputs, greedily, that reach every branch that is reached; how often does not count here. */
  minimise(): Uint8Array[] {
    const coverage = new CoverageMap();
    return [...this.#inputs].sort((a, b) => a.length - b.length).filter((input) => {
      const before = coverage.edges;
      CoverageMap.reset();
      examine(this.#init.target, input, () => void coverage.takeNew());
      return coverage.edges > before;
    });
  }

  #run(input: Uint8Array): { finding: Finding | undefined; fresh: Feature[] } {
    this.execs++;
    this.#init.onInput?.(input);
    CoverageMap.reset();
    let fresh: Feature[] = [];
    const finding = examine(this.#init.target, input, () => (fresh = this.#coverage.takeNew()));
    return { finding, fresh };
  }

  #report(input: Uint8Array, finding: Finding): void {
    if (this.crashes.some((crash) => crash.finding.signature === finding.signature)) return;
    this.crashes.push({ input: input.slice(), finding });
  }

  /** Half of the time one of the newest: what was just reached has not been looked around from yet. */
  #pick(): Uint8Array {
    const { random } = this.#init;
    const count = this.#inputs.length;
    const among = random() < 0.5 ? Math.ceil(count / 8) : count;
    return this.#inputs[count - 1 - Math.floor(random() * among)]!;
  }

  /** Leaves parts out for as long as what was new about the input is still reached. */
  #trim(input: Uint8Array, fresh: readonly Feature[]): Uint8Array {
    let kept = input;
    let attempts = TRIM_ATTEMPTS;
    for (let size = kept.length >> 1; size > 0 && attempts > 0; size >>= 1) {
      for (let at = 0; at + size <= kept.length && attempts-- > 0; ) {
        const shorter = new Uint8Array([...kept.subarray(0, at), ...kept.subarray(at + size)]);
        if (this.#reaches(shorter, fresh)) kept = shorter;
        else at += size;
      }
    }
    return kept;
  }

  #reaches(input: Uint8Array, features: readonly Feature[]): boolean {
    this.execs++;
    this.#init.onInput?.(input);
    CoverageMap.reset();
    let reached = new Set<Feature>();
    const finding = examine(this.#init.target, input, () => (reached = new Set(CoverageMap.features())));
    if (finding) this.#report(input, finding);
    return !finding && features.every((feature) => reached.has(feature));
  }
}
