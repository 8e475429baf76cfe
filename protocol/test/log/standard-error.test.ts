// Standard error whose reader is slow, stopped or gone, or whose disk is full: nobody waits for it, no line is mixed up, and what
// is given up is counted.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { MAX_HELD_BYTES, StandardError, type Put } from '@ztna/protocol';

const LINE = `${'x'.repeat(199)}\n`;
/** Far more than a pipe and what is held take together. */
const LINES = 20_000;

/** A reader with so much room. */
class Room {
  readonly taken: Buffer[] = [];
  fault: string | undefined;
  bytes: number;

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  readonly put: Put = (bytes) => {
    if (this.fault !== undefined) throw new Error(this.fault);
    const taken = Math.min(bytes.length, this.bytes);
    this.bytes -= taken;
    this.taken.push(Buffer.from(bytes.subarray(0, taken)));
    return taken;
  };

  get text(): string {
    return Buffer.concat(this.taken).toString();
  }
}

t.test('holds what there is no room for, up to a bound, in order, and tells once how much it gave up', async (t) => {
  const room = new Room(10);
  const reports: number[] = [];
  const stream = new StandardError(room.put, (lines) => reports.push(lines));
  const fit = Math.floor((MAX_HELD_BYTES - 190) / LINE.length) + 1;
  for (let n = 0; n < fit + 7; n++) stream.write(`${String(n).padStart(199)}\n`);
  t.equal(stream.lost, 7);
  t.equal(room.text.length, 10);
  t.strictSame(reports, []);
  room.bytes = Infinity;
  await t.resolves(new Promise<void>((resolve) => (function look() { if (reports.length > 0) resolve(); else setImmediate(look); })()));
  t.strictSame(reports, [7]);
  t.strictSame(room.text.trimEnd().split('\n').map(Number), Array.from({ length: fit }, (_, n) => n));
  stream.write('next\n');
  t.match(room.text, /\nnext\n$/);
  t.strictSame(reports, [7]);
});

t.test('a disk that is full costs the lines written meanwhile, and no memory', (t) => {
  const room = new Room(Infinity);
  const reports: number[] = [];
  const stream = new StandardError(room.put, (lines) => reports.push(lines));
  room.fault = 'ENOSPC';
  for (let n = 0; n < LINES; n++) stream.write(LINE);
  t.equal(stream.lost, LINES);
  room.fault = undefined;
  stream.write('again\n');
  t.equal(room.text, 'again\n');
  t.strictSame(reports, [LINES]);
  t.end();
});

t.test('a process that exits waits for a slow reader, but not for one that is stopped', (t) => {
  const room = new Room(0);
  const reports: number[] = [];
  const stream = new StandardError(room.put, (lines) => reports.push(lines));
  stream.write('last\n');
  stream.write('x'.repeat(MAX_HELD_BYTES));
  const began = performance.now();
  stream.finish();
  t.ok(performance.now() - began < 5_000);
  t.equal(room.text, '');
  t.strictSame(reports, []);
  room.bytes = Infinity;
  stream.finish();
  t.equal(room.text, 'last\n');
  t.strictSame(reports, [1], 'what is lost is told at the latest then');
  stream.write('and after\n');
  t.match(room.text, /and after\n$/);
  t.end();
});

const PROTOCOL = import.meta.resolve('@ztna/protocol');

const programOf = (body: string): string =>
  `import { createLogger } from ${JSON.stringify(PROTOCOL)}; import { loadKoffi } from ${JSON.stringify(new URL('native/koffi.js', PROTOCOL).href)}; const log = createLogger({ name: 'test' });${body}`;

/** Logs far more than anybody takes, says on standard output that it is through, and stays until standard input ends. */
const FLOOD = `
// The logger asked for it first, so a socket is written to through it from here on.
await loadKoffi();
await new Promise(setImmediate);
for (let i = 0; i < ${LINES}; i++) log.fatal('flood', { i, text: 'x'.repeat(150) });
console.log(JSON.stringify({ lost: log.lost, rss: process.memoryUsage.rss() }));
process.stdin.on('end', () => process.exit(0)).resume();
`;

const start = (stderr: 'pipe' | number): ChildProcess => spawn(process.execPath, ['--input-type=module', '-e', programOf(FLOOD)], { stdio: ['pipe', 'pipe', stderr] });

const firstLine = async (child: ChildProcess): Promise<{ lost: number }> =>
  new Promise((resolve) => createInterface({ input: child.stdout! }).once('line', (line) => resolve(JSON.parse(line) as { lost: number })));

/** In the last two, for it may be cut. */
const hasReport = (chunks: readonly Buffer[]): boolean => Buffer.concat(chunks.slice(-2)).includes('"lines_lost"');

/** All lines arrived whole; those lost are told of. */
const checkLines = (t: Test, text: string, lost: number): void => {
  const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line) as { event: string; i?: number; lines?: number });
  const flood = lines.filter(({ event }) => event === 'flood');
  t.ok(lost > 0);
  t.equal(flood.length + lost, LINES);
  t.strictSame(flood.map(({ i }) => i), Array.from({ length: flood.length }, (_, i) => i), 'the first ones, in order');
  t.equal(lines.find(({ event }) => event === 'lines_lost')?.lines, lost);
};

t.test('a socket whose reader is stopped keeps nobody waiting', { skip: process.platform !== 'linux' }, async (t) => {
  const child = start('pipe');
  const { lost } = await firstLine(child);
  const chunks: Buffer[] = [];
  const closed = new Promise((resolve) => child.on('close', resolve));
  child.stderr!.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (hasReport(chunks)) child.stdin!.end();
  });
  await closed;
  checkLines(t, Buffer.concat(chunks).toString(), lost);
});

t.test('a pipe whose reader is stopped keeps nobody waiting', { skip: process.platform !== 'linux' }, async (t) => {
  const path = join(t.testdir({}), 'fifo');
  t.equal(spawnSync('mkfifo', [path]).status, 0);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  const child = start(writer);
  closeSync(writer);
  const { lost } = await firstLine(child);
  const chunks: Buffer[] = [];
  const read = (): boolean => {
    const chunk = Buffer.alloc(65_536);
    try {
      const count = readSync(reader, chunk, 0, chunk.length, null);
      chunks.push(chunk.subarray(0, count));
      if (hasReport(chunks)) child.stdin!.end();
      return count > 0;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EAGAIN';
    }
  };
  while (read()) await new Promise(setImmediate);
  closeSync(reader);
  checkLines(t, Buffer.concat(chunks).toString(), lost);
});

t.test('a full disk does not make the process grow', { skip: !existsSync('/dev/full') }, async (t) => {
  const full = openSync('/dev/full', 'w');
  const child = start(full);
  closeSync(full);
  const { lost } = await firstLine(child);
  t.equal(lost, LINES);
  const exited = new Promise((resolve) => child.on('exit', resolve));
  child.stdin!.end();
  t.equal(await exited, 0);
});
