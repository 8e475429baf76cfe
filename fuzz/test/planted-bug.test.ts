// The fuzzer finds a bug behind four magic bytes, which blind chance hits once in 2^32 inputs, a day and more of
// searching; and the watchdog ends an input that does not end.

import t from 'tap';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';
import { seededRandom } from '@ztna/protocol/testing';
import { Fuzzer } from '../engine/fuzzer.js';
import { instrument } from '../engine/instrument.js';
import { Watchdog } from '../engine/watchdog.js';
import { HONEST } from './toy-targets.js';

const MAGIC = [0x5a, 0x54, 0x4e, 0x41];
const DECODER = `((input) => {
  ${MAGIC.map((byte, index) => `if (input[${index}] !== ${byte}) return ${index};`).join('\n  ')}
  throw new RangeError('planted');
})`;

const decoder = (code: string): ((input: Uint8Array) => unknown) => runInThisContext(code) as (input: Uint8Array) => unknown;
/** A const at the top of a script would be shared by all of them. */
const counted = (): ((input: Uint8Array) => unknown) => decoder(`(() => {${instrument(DECODER, 0).code.replace('((input)', 'return ((input)')}})()`);

/** Far more than the search needs (measured: 40 000 to 150 000), and some 10 s. */
const MAX_EXECS = 600_000;

t.test('a crash behind four magic bytes is found, and made again by its input', async (t) => {
  const fuzzer = new Fuzzer({ target: { ...HONEST, run: counted() }, random: seededRandom(3) });
  fuzzer.search(() => fuzzer.crashes.length > 0 || fuzzer.execs > MAX_EXECS);
  t.match(fuzzer.crashes, [{ finding: { kind: 'throws', detail: /planted/ } }]);
  const { input } = fuzzer.crashes[0]!;
  t.strictSame([...input.subarray(0, MAGIC.length)], MAGIC);
  t.throws(() => decoder(DECODER)(input), /planted/);
  t.comment(`${fuzzer.execs} execs`);
});

t.test('without coverage the same search finds nothing', async (t) => {
  const fuzzer = new Fuzzer({ target: { ...HONEST, run: decoder(DECODER) }, random: seededRandom(3) });
  fuzzer.search(() => fuzzer.execs > 50_000);
  t.strictSame(fuzzer.crashes, []);
});

t.test('the same seed makes the same search', async (t) => {
  const search = (seed: number): string[] => {
    const tried: string[] = [];
    const fuzzer = new Fuzzer({ target: { ...HONEST, run: counted() }, random: seededRandom(seed), onInput: (input) => tried.push(Buffer.from(input).toString('hex')) });
    fuzzer.search(() => fuzzer.execs > 1000);
    return tried;
  };
  t.strictSame(search(5), search(5));
  t.strictNotSame(search(5), search(6));
});

t.test('minimising keeps what reaches everything', async (t) => {
  const fuzzer = new Fuzzer({ target: { ...HONEST, run: counted() }, random: seededRandom(1) });
  for (let length = 0; length <= 3; length++) {
    fuzzer.try(Uint8Array.from([...MAGIC.slice(0, length), 0]));
    fuzzer.try(Uint8Array.from([...MAGIC.slice(0, length), 0, 0, 0]));
  }
  const minimised = fuzzer.minimise().map((input) => [...input]);
  t.strictSame(minimised, Array.from({ length: 4 }, (_, length) => [...MAGIC.slice(0, length), 0]));
});

t.test('an input that does not end is written down, said, and ends the process', async (t) => {
  const directory = t.testdir();
  const crashFile = join(directory, 'crashes', 'hang');
  mkdirSync(directory, { recursive: true });
  const program = join(directory, 'hang.mjs');
  writeFileSync(program, `
    const { Watchdog } = await import(${JSON.stringify(new URL('../engine/watchdog.js', import.meta.url).href)});
    const watchdog = new Watchdog({ crashFile: ${JSON.stringify(crashFile)}, message: 'it hangs', hangMs: 200 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    watchdog.watch(Uint8Array.of(1, 2, 3));
    for (;;);
  `);
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const signal = await new Promise((resolve) => child.once('close', (_code, by) => resolve(by)));
  t.equal(signal, 'SIGKILL');
  t.equal(output, 'it hangs\n');
  t.strictSame(readdirSync(join(directory, 'crashes')), ['hang']);
  t.strictSame([...readFileSync(crashFile)], [1, 2, 3]);
});

t.test('the watchdog leaves inputs that end alone', async () => {
  const watchdog = new Watchdog({ crashFile: '/nonexistent/never', message: 'never', hangMs: 200 });
  for (let n = 0; n < 20; n++) {
    watchdog.watch(Uint8Array.of(n));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await watchdog.stop();
});
