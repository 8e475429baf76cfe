// Whatever comes and whenever: each packet reaches QUIC once, in order, and only packets of a pair as from an address that was left.

import fc from 'fast-check';
import { mock } from 'node:test';
import t from 'tap';
import { LeftPaths, type PathInfo } from '@ztna/protocol';

const TO = { host: '10.0.0.1', port: 4433 };
const pathOf = (port: number): PathInfo => ({ from: { host: '192.0.2.1', port }, to: TO });
/** Beyond every wait there is. */
const LONG_MS = 6_000;

/** Timers that timers start count from when those ran, not from the end of the step: so in small steps. */
const pass = (ms: number): void => {
  for (let passed = 0; passed < ms; passed++) mock.timers.tick(1);
};

class World {
  readonly fed: { readonly packet: number; readonly port: number }[] = [];
  pings = 0;
  readonly failed = new Set<number>();
  at = 1;
  readonly left = new LeftPaths({
    expected: () => pathOf(this.at),
    isValidated: ({ from }) => !this.failed.has(from.port),
    ping: () => void this.pings++,
    receive: (packet, path) => void this.#feed(packet, path.from.port),
  });
  #next = 0;

  packet(): void {
    const packet = Buffer.alloc(4);
    packet.writeUInt32BE(this.#next++);
    if (!this.left.keeps(packet)) this.#feed(packet, this.at);
    packet.fill(0xff); // the socket's buffer is overwritten
  }

  move(port: number): void {
    const before = this.at;
    if (port === before) return;
    this.at = port;
    this.left.add(pathOf(before));
  }

  get sent(): number {
    return this.#next;
  }

  #feed(packet: Buffer, port: number): void {
    this.fed.push({ packet: packet.readUInt32BE(), port });
  }
}

t.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
t.afterEach(() => mock.timers.reset());

t.test('nothing is kept or asked for while nobody has moved', (t) => {
  const world = new World();
  world.packet();
  pass(LONG_MS);
  t.same(world.fed, [{ packet: 0, port: 1 }]);
  t.equal(world.pings, 0);
  t.end();
});

t.test('after a move two answers, twice, lead QUIC to the old address and back', (t) => {
  const world = new World();
  world.move(2);
  for (let attempt = 0; attempt < 2; attempt++) {
    while (world.pings < 2 * attempt + 1) mock.timers.tick(1);
    world.packet();
    pass(4);
    world.packet();
  }
  t.same(world.fed.map(({ port }) => port), [1, 2, 1, 2]);
  pass(LONG_MS);
  t.equal(world.pings, 4, 'and that is all');
  t.end();
});

t.test('a packet that stays alone goes its way after 20 ms', (t) => {
  const world = new World();
  world.move(2);
  while (world.pings === 0) mock.timers.tick(1);
  world.packet();
  t.same(world.fed, []);
  pass(20);
  t.same(world.fed, [{ packet: 0, port: 2 }]);
  t.end();
});

t.test('QUIC is not led to a path that it has given up', (t) => {
  const world = new World();
  world.failed.add(1);
  world.move(2);
  while (world.pings === 0) pass(1);
  world.packet();
  world.packet();
  pass(LONG_MS);
  t.same(world.fed.map(({ port }) => port), [2, 2]);
  t.equal(world.pings, 2, 'and nothing more is asked for');
  t.end();
});

t.test('a client that never answers is asked ten times in four and a half seconds, and then left alone', (t) => {
  const world = new World();
  world.move(2);
  pass(4_500);
  t.equal(world.pings, 10);
  pass(LONG_MS);
  t.equal(world.pings, 10);
  t.end();
});

t.test('each packet is fed once and in order, whatever happens', (t) => {
  const step = fc.oneof(
    { weight: 10, arbitrary: fc.constant({ kind: 'packet' as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('move' as const), port: fc.integer({ min: 1, max: 12 }) }) },
    { weight: 10, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 4, 19, 20, 100, 400) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 200, size: 'max' }), (steps) => {
      const world = new World();
      for (const each of steps) {
        if (each.kind === 'packet') world.packet();
        else if (each.kind === 'move') world.move(each.port);
        else pass(each.ms);
      }
      pass(LONG_MS);
      return world.fed.length === world.sent && world.fed.every(({ packet }, index) => packet === index);
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('a connection that ends takes along what was kept', (t) => {
  const world = new World();
  world.move(2);
  while (world.pings === 0) mock.timers.tick(1);
  world.packet();
  world.left.stop();
  pass(LONG_MS);
  t.same(world.fed, []);
  t.end();
});
