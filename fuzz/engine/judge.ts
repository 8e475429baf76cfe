// Runs a target on one input and says what is wrong with what it did. The input lies between poisoned bytes,
// twice, with other poison and at another offset: a decoder that reads past either end gives two results, one
// that writes there is seen by the poison. Memory is counted by V8, time by the clock.

import { isDeepStrictEqual } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import type { FuzzTarget } from '../targets/support/fuzz-target.js';

export type FindingKind = 'throws' | 'reads_outside' | 'writes_to_input' | 'allocates' | 'slow';

export interface Finding {
  readonly kind: FindingKind;
  readonly detail: string;
  /** Findings with the same one have the same cause, as far as can be told. */
  readonly signature: string;
}

/** Of processor time. A decoder that takes longer for one input holds up every other connection of the process. */
export const MAX_INPUT_MS = 50;
/** Both are measured again this often, and the least counts: a collection or another process is no finding. */
const REPEATS = 5;

const MARGIN = 64;
/** Different poison at different alignment. */
const PLACES = [{ offset: 61, poison: 0xff }, { offset: 64, poison: 0x00 }] as const;

/** @param onFirstRun is called between the two runs, so that coverage counts one */
export const examine = (target: FuzzTarget, input: Uint8Array, onFirstRun: () => void = () => undefined): Finding | undefined => {
  const results: unknown[] = [];
  for (const { offset, poison } of PLACES) {
    const memory = place(input, offset, poison);
    const view = memory.subarray(offset, offset + input.length);
    const before = getHeapStatistics();
    const start = performance.now();
    let result: unknown;
    try {
      result = target.run(view);
    } catch (error) {
      return thrown(error);
    }
    const ms = performance.now() - start;
    const after = getHeapStatistics();
    if (results.length === 0) onFirstRun();
    if (ms > MAX_INPUT_MS) {
      const least = Math.min(...repeated(() => timeOf(target, view)));
      if (least > MAX_INPUT_MS) return finding('slow', `${least.toFixed(1)} ms for ${input.length} bytes; at most ${MAX_INPUT_MS}`);
    }
    const bound = target.memory.base + target.memory.perByte * input.length;
    if (allocated(before, after) > bound) {
      const least = Math.min(...repeated(() => allocationOf(target, view)));
      if (least > bound) return finding('allocates', `${least} bytes for an input of ${input.length}; at most ${bound}`);
    }
    if (!isUntouched(memory, input, offset, poison)) return finding('writes_to_input', 'the input or what lies around it was written to');
    results.push(result);
  }
  return isDeepStrictEqual(results[0], results[1]) ? undefined : finding('reads_outside', 'other bytes around the input, or another offset, gave another result');
};

/** Bytes of memory that one run takes, garbage included. */
export const allocationOf = (target: FuzzTarget, input: Uint8Array): number => {
  const before = getHeapStatistics();
  target.run(input);
  const used = allocated(before, getHeapStatistics());
  // A collection in between makes the difference meaningless; the next attempt will have none.
  return used < 0 ? Number.POSITIVE_INFINITY : used;
};

type HeapStatistics = ReturnType<typeof getHeapStatistics>;
const allocated = (before: HeapStatistics, after: HeapStatistics): number =>
  after.used_heap_size - before.used_heap_size + (after.external_memory - before.external_memory);

/** Of the processor, in ms: another process that has it is no finding either. */
const timeOf = (target: FuzzTarget, input: Uint8Array): number => {
  const before = process.cpuUsage();
  target.run(input);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
};

const repeated = (measure: () => number): number[] => Array.from({ length: REPEATS }, measure);

const place = (input: Uint8Array, offset: number, poison: number): Uint8Array => {
  // A block of its own: a pooled Buffer would have other inputs around it.
  const memory = new Uint8Array(offset + input.length + MARGIN).fill(poison);
  memory.set(input, offset);
  return memory;
};

const isUntouched = (memory: Uint8Array, input: Uint8Array, offset: number, poison: number): boolean =>
  Buffer.compare(memory.subarray(offset, offset + input.length), input) === 0 &&
  memory.subarray(0, offset).every((byte) => byte === poison) &&
  memory.subarray(offset + input.length).every((byte) => byte === poison);

const finding = (kind: FindingKind, detail: string): Finding => ({ kind, detail, signature: kind });

const thrown = (error: unknown): Finding => {
  const text = error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
  const where = text.split('\n').filter((line) => /^\s+at /.test(line)).slice(0, 3).map((line) => line.trim()).join(' | ');
  return { kind: 'throws', detail: text, signature: `throws ${error instanceof Error ? error.name : typeof error} ${where}` };
};
