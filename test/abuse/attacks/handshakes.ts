// Handshakes by the hundred: with a good certificate, a foreign one and none; and halves of handshakes.

import { issueCertificate } from '@ztna/certs';
import { relayDnsName } from '@ztna/protocol';
import type { AbuseLab } from '../abuse-lab.js';
import { Findings, handshakesAllowed, tally, type Attack } from '../attack.js';
import { HostileClient, type HostileClientInit } from '../../harness/hostile-client.js';
import { readCredentials } from '../../harness/intruder.js';
import { TRUST_DOMAIN } from '../../harness/lab.js';
import { HalfHandshakes } from '../hostile/half-handshakes.js';

/** Per source, docs/limits.md: handshakes a second, in a burst, and connections at a time. */
const RATE = 20;
const BURST = 40;
const CONNECTIONS = 64;
const HALF_OPEN = 1024;

const SERVER_NAME = relayDnsName('relay-1', TRUST_DOMAIN);

interface Flood {
  readonly begun: number;
  readonly established: number;
  /** Codes of those that ended. */
  readonly ends: readonly string[];
  /** Seconds it took. */
  readonly seconds: number;
}

/** As many handshakes as this process can begin from one address, all left open. */
const handshakeFlood = async (lab: AbuseLab, init: Pick<HostileClientInit, 'credentials'> & Partial<HostileClientInit>): Promise<Flood> => {
  const from = lab.source();
  const clients: HostileClient[] = [];
  const ends: string[] = [];
  let established = 0;
  const start = performance.now();
  const isFlood = (): boolean => clients.length > handshakesAllowed((performance.now() - start) / 1000) + 20;
  for await (const _ of lab.rounds(2, isFlood)) {
    const client = lab.keep(await HostileClient.dial({ port: lab.port, serverName: SERVER_NAME, from, ...init }));
    clients.push(client);
    void client.established().then(() => established++, () => undefined);
    void client.ended.then(({ code }) => ends.push(code));
  }
  return { begun: clients.length, established, ends: [...ends], seconds: (performance.now() - start) / 1000 };
};

const flood = (name: string, code: string | undefined, init: (lab: AbuseLab) => Parameters<typeof handshakeFlood>[1]): Attack => ({
  name,
  expected: `at most ${BURST} + ${RATE}/s handshakes of one source, ${code ? `all refused with ${code}` : `at most ${CONNECTIONS} connections at a time`}; the rest never begin, or are told connection_refused`,
  growthMiB: 96,
  async run(lab) {
    const { begun, established, ends, seconds } = await handshakeFlood(lab, init(lab));
    const findings = new Findings().check(begun > handshakesAllowed(seconds), `too slow to be a flood: ${begun} in ${seconds.toFixed(1)} s`);
    if (code === undefined) {
      findings
        .check(established > 0 && established <= Math.min(CONNECTIONS, handshakesAllowed(seconds)), `${established} were let in, at most ${Math.min(CONNECTIONS, handshakesAllowed(seconds))} were due`)
        .check(ends.every((end) => end === 'connection_refused'), `ended: ${tally(ends)}`);
    } else {
      const refused = lab.relay.events.filter((event) => event.event === 'handshake_refused' && event.code === code).length;
      findings
        .check(refused > 0 && refused <= handshakesAllowed(seconds), `${refused} were let in as far as the certificate, at most ${handshakesAllowed(seconds)} were due`)
        .check(ends.every((end) => end === code), `ended: ${tally(ends)}`);
    }
    return findings.seen(`${begun} begun in ${seconds.toFixed(1)} s, ${established} through at the client; ended: ${tally(ends)}`, { 'packet.source_handshake_rate': 1 });
  },
});

export const certifiedFlood = flood('handshake flood with a valid certificate from one address', undefined, (lab) => ({ credentials: readCredentials(lab.lab, 'mallory') }));

export const anonymousFlood = flood('handshake flood without a certificate', 'certificate_required', (lab) => ({ credentials: readCredentials(lab.lab, 'mallory'), anonymous: true }));

export const foreignFlood = flood('handshake flood with certificates of a foreign CA', 'certificate_unknown_ca', (lab) => {
  const stranger = issueCertificate(lab.stranger, { role: 'agent', name: 'alice' });
  return { credentials: { caPem: lab.lab.read('ca.crt'), ...stranger } };
});

/** Enough sources that the rate of each does not keep the flood below the cap. */
const HALF_SOURCES = 60;

export const halfHandshakes: Attack = {
  name: `half handshakes from ${HALF_SOURCES} addresses: Retry answered, then silence`,
  expected: `at most ${HALF_OPEN} at a time, the rest dropped as half_open_limit; places come back within 10 s`,
  growthMiB: 128,
  async run(lab) {
    const addresses = Array.from({ length: HALF_SOURCES }, () => lab.source());
    const halves = lab.keep(await HalfHandshakes.open(lab.port, addresses, readCredentials(lab.lab, 'mallory'), SERVER_NAME));
    let begun = 0;
    for await (const _ of lab.rounds()) for (let i = 0; i < 8; i++) halves.begin(begun++ % HALF_SOURCES);
    const { bytesReceived, bytesSent } = halves.swarm;
    const factor = bytesReceived / bytesSent;
    const full = lab.intensity === 'full';
    return new Findings()
      .check(halves.answered > 0 && halves.answered <= HALF_OPEN * 1.5, `${halves.answered} answered, about ${HALF_OPEN} places are there`)
      .check(factor <= 3, `amplification ${factor.toFixed(2)}`)
      .seen(`${begun} begun, ${halves.answered} answered, ${factor.toFixed(2)} bytes back for each byte in`, full ? { 'packet.half_open_limit': 1 } : undefined);
  },
};
