// Thin traffic over a network that loses packets: the round trip that QUIC believes in stays near the real one, and so
// do its loss timers. Why the profiles have BBR, docs/adr/0016.

import t, { type Test } from 'tap';
import { setTimeout as wait } from 'node:timers/promises';
import type { QuicConfigInit } from '@ztna/protocol';
import { createInnerPair, type InnerPair } from './pair.js';
import { innerClient, innerServer } from './pki.js';

/** As the soak test had it, but for more loss, so that the window sinks within a second. */
const NETWORK = { seed: 7, loss: 0.05, reordering: 0.02, duplication: 0.01, delayMs: 5 };
const QUESTION_INTERVAL_MS = 2;
const QUESTIONS = 800;
/** The believed round trip may be so many times the slowest answer; a runaway grows by a second every second. */
const TOLERANCE = 3;

interface Thin {
  readonly pair: InnerPair;
  /** Milliseconds of the slowest answer so far. */
  slowest: number;
  answered: number;
  /** The larger of both sides' estimates, ms. */
  believed(): number;
  ask(): Promise<void>;
}

const start = async (t: Test, congestionControl?: QuicConfigInit['congestionControl']): Promise<Thin> => {
  const changes = congestionControl ? { congestionControl } : {};
  const thin: Omit<Thin, 'pair' | 'ask' | 'believed'> = { slowest: 0, answered: 0 };
  const pair = await createInnerPair(t, NETWORK, {
    clientConfig: innerClient(changes),
    serverConfig: innerServer(changes),
    far: { onDatagram: (connection, payload, length) => void connection.sendDatagram(payload.subarray(0, length)) },
    near: {
      onDatagram: (_connection, payload, length) => {
        if (length !== 8) return; // of the handshake's confirmation
        thin.slowest = Math.max(thin.slowest, performance.now() - payload.readDoubleBE());
        thin.answered++;
      },
    },
  });
  const ends = [pair.connection, pair.far.connection!];
  return Object.assign(thin, {
    pair,
    believed: () => Math.max(...ends.map(({ quic }) => quic.activePath()!.rttMs)),
    ask: async () => {
      const question = Buffer.alloc(8);
      question.writeDoubleBE(performance.now());
      pair.connection.sendDatagram(question);
      await wait(QUESTION_INTERVAL_MS);
    },
  });
};

void t.test('the believed round trip stays near the real one while packets are lost', async (t) => {
  const thin = await start(t);
  let believed = 0;
  for (let n = 0; n < QUESTIONS; n++) {
    await thin.ask();
    believed = Math.max(believed, thin.believed());
  }
  t.ok(thin.pair.network.stats.lost > 20, 'the network did lose packets');
  t.ok(thin.answered > QUESTIONS / 2, `${thin.answered} of ${QUESTIONS} answered`);
  t.ok(believed < TOLERANCE * thin.slowest, `believed ${believed} ms, slowest answer ${thin.slowest} ms`);
});

for (const congestionControl of ['cubic', 'reno'] as const)
  void t.test(`with ${congestionControl} it runs away, which is why there is BBR`, async (t) => {
    const thin = await start(t, congestionControl);
    while (thin.answered < 100 || thin.believed() < 2 * TOLERANCE * thin.slowest) await thin.ask();
    t.pass(`believed ${thin.believed()} ms, slowest answer ${thin.slowest} ms`);
  });
