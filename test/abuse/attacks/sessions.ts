// Registrations, opens and sessions from clients with good papers: too many, of others, or left lying.

import { randomBytes } from 'node:crypto';
import { encodeClaims, encodeUnsignedToken, tokenSignatureInput } from '@ztna/protocol';
import { Findings, tally, type Attack } from '../attack.js';
import { certificateBinding, type HostileClient } from '../../harness/hostile-client.js';
import { goodToken, openPair, readCredentials, readRegistrationKey } from '../../harness/intruder.js';
import { TRUST_DOMAIN } from '../../harness/lab.js';
import type { ManagedProcess } from '../../harness/managed-process.js';

/** docs/limits.md: of one connection, a second and in a burst. */
const REGISTRATIONS = { rate: 5, burst: 10 };
const OPENS = { rate: 50, burst: 100 };
const PENDING_OPENS = 64;
const ACCEPT_TIMEOUT_S = 5;

const codesOf = (client: HostileClient, type: 'registerNack' | 'openFailed'): string[] =>
  client.messages.filter((message) => message.type === type).map((message) => ('code' in message ? message.code : ''));
const count = (client: HostileClient, type: string): number => client.messages.filter((message) => message.type === type).length;

export const registrationFlood: Attack = {
  name: 'registration flood with good tokens',
  expected: `at most ${REGISTRATIONS.burst} + ${REGISTRATIONS.rate}/s are judged, the rest rate_limited`,
  async run(lab) {
    const client = await lab.join('agent', 'mallory');
    const tokens = Array.from({ length: 60 }, () => goodToken(lab.lab, 'agent', 'mallory'));
    const start = performance.now();
    for (const token of tokens) client.register(token);
    for await (const _ of lab.rounds(20)) if (client.hasEnded) break;
    const seconds = (performance.now() - start) / 1000;
    const accepted = count(client, 'registerAck');
    const refused = codesOf(client, 'registerNack');
    const allowed = Math.ceil(REGISTRATIONS.burst + REGISTRATIONS.rate * (seconds + 1));
    return new Findings()
      .check(accepted > 0 && accepted <= allowed, `${accepted} accepted, at most ${allowed} were due`)
      .check(refused.every((code) => code === 'rate_limited'), `refused: ${tally(refused)}`)
      .seen(`${tokens.length} sent, ${accepted} accepted, refused: ${tally(refused)}`);
  },
};

export const badRegistrations: Attack = {
  name: 'registration flood with bad tokens',
  expected: 'closed after ten in a row, with the code of the last',
  async run(lab) {
    const ends: string[] = [];
    for await (const _ of lab.rounds(40)) {
      const client = await lab.dial('mallory');
      client.hello('agent');
      for (let i = 0; i < 200; i++) client.register(randomBytes(64));
      ends.push((await Promise.race([client.ended, lab.patience()]))?.code ?? 'stands');
    }
    return new Findings().check(ends.every((code) => code === 'token_malformed' || code === 'rate_limited'), tally(ends)).seen(`connections of 200 each: ${tally(ends)}`);
  },
};

export const openFlood: Attack = {
  name: 'open flood: a thousand opens at once',
  expected: `at most ${OPENS.burst} + ${OPENS.rate}/s reach a connector, ${PENDING_OPENS} at a time; the rest rate_limited or too_many_sessions`,
  async run(lab) {
    const connector = await lab.join('connector', 'rogue', ['ssh']);
    const client = await lab.join('agent', 'mallory');
    const start = performance.now();
    for (let request = 1; request <= 1_000; request++) client.open('ssh', request);
    for await (const _ of lab.rounds(20)) if (client.hasEnded) break;
    const seconds = (performance.now() - start) / 1000;
    const incoming = count(connector, 'incoming');
    const refused = codesOf(client, 'openFailed');
    const allowed = Math.min(PENDING_OPENS, Math.ceil(OPENS.burst + OPENS.rate * seconds));
    return new Findings()
      .check(incoming > 0 && incoming <= allowed, `${incoming} reached the connector, at most ${allowed} were due`)
      .check(refused.every((code) => code === 'rate_limited' || code === 'too_many_sessions'), `refused: ${tally(refused)}`)
      .seen(`${incoming} reached the connector; refused: ${tally(refused)}`);
  },
};

export const abandonedSessions: Attack = {
  name: 'an agent that opens sessions and abandons them, connection after connection',
  expected: 'each session ends for the connector with agent_gone; opens of the identity at most 100 + 50/s',
  growthMiB: 48,
  async run(lab) {
    const connector = await lab.join('connector', 'rogue', ['ssh']);
    let agents = 0;
    let opened = 0;
    let ended = 0;
    const start = performance.now();
    for await (const _ of lab.rounds(5)) {
      const agent = await lab.join('agent', 'trudy');
      agents++;
      for (let request = 1; request <= PENDING_OPENS; request++) agent.open('ssh', request);
      await agent.roundTrip();
      for (const message of connector.messages.splice(0)) {
        if (message.type === 'incoming') {
          opened++;
          connector.send({ type: 'accept', session: message.session });
        } else if (message.type === 'sessionClosed') ended++;
      }
      await connector.roundTrip();
      await agent.close();
    }
    const seconds = (performance.now() - start) / 1000;
    await Promise.race([connector.take('sessionClosed'), lab.patience()]).catch(() => undefined);
    const allowed = Math.ceil(OPENS.burst + OPENS.rate * (seconds + 1));
    return new Findings()
      .check(opened > 0 && ended > 0, `${opened} sessions, ${ended} ended`)
      .check(opened <= allowed, `${opened} sessions, at most ${allowed} were due`)
      .seen(`${agents} connections, ${opened} sessions reached the connector, ${ended} ends`);
  },
};

export const othersHandles: Attack = {
  name: 'session handles of others: close, accept, reject, send',
  expected: 'session_unknown each time; the session stays and nothing forged arrives',
  async run(lab) {
    const arrived: string[] = [];
    const onDatagram = (payload: Buffer, length: number): void => void arrived.push(payload.toString('latin1', 16, length));
    const connector = await lab.join('connector', 'rogue', ['ssh'], { onDatagram });
    const victim = await lab.join('agent', 'trudy');
    const { agentEnd, connectorEnd } = await openPair(victim, connector);
    const mallory = await lab.join('agent', 'mallory');
    const codes: string[] = [];
    for await (const _ of lab.rounds(25)) {
      for (const session of [agentEnd, connectorEnd, { ...agentEnd, tag: (agentEnd.tag ^ 1) >>> 0 }]) {
        mallory.send({ type: 'closeSession', session });
        mallory.sendSessionDatagram(session, Buffer.from('forged'));
        codes.push((await mallory.take('error')).code);
      }
    }
    victim.sendSessionDatagram(agentEnd, Buffer.from('mine'));
    await connector.whenDatagrams(1);
    return new Findings()
      .check(codes.every((code) => code === 'session_unknown'), tally(codes))
      .equal(tally(new Set(arrived)), '1 × mine', 'arrived')
      .seen(`${tally(codes)}; arrived: ${tally(arrived)}`, { 'datagram.not_owner': 10 });
  },
};

export const thousandNames: Attack = {
  name: 'a connector that registers a thousand names',
  expected: 'too_many_services or token_malformed above 64; a token too large for a message is control_message_malformed',
  async run(lab) {
    const findings = new Findings();
    const credentials = readCredentials(lab.lab, 'rogue');
    const key = readRegistrationKey(lab.lab, 'rogue-any');
    const codes: string[] = [];
    for (const names of [65, 400, 1_000]) {
      const client = await lab.dial('rogue');
      const services = Array.from({ length: names }, (_, i) => `s${i}`);
      const unsigned = encodeUnsignedToken(key.keyId, encodeClaims({
        issuedAt: Date.now(), ttlSeconds: 60, nonce: randomBytes(16), role: 'connector', identity: `spiffe://${TRUST_DOMAIN}/connector/rogue`,
        services, audience: `spiffe://${TRUST_DOMAIN}/relay/relay-1`, binding: certificateBinding(credentials),
      }));
      const token = Buffer.concat([unsigned, key.sign(tokenSignatureInput(unsigned))]);
      client.hello('connector').register(token);
      const nack = await Promise.race([client.take('registerNack').catch(() => undefined), lab.patience()]);
      const code = nack?.code ?? (client.hasEnded ? (await client.ended).code : 'no answer');
      codes.push(code);
      findings.check(['too_many_services', 'token_malformed', 'control_message_malformed'].includes(code), `${names} names: ${code}`);
    }
    return findings.seen(codes.map((code, i) => `${[65, 400, 1_000][i] ?? 0}: ${code}`).join(', '));
  },
};

/** Starts with the lab: agents give up on silence after ten seconds. */
export const silentConnector = (): Attack => {
  let connector: HostileClient;
  let agent: ManagedProcess;
  return {
    name: 'a connector that accepts and goes silent',
    expected: 'the agent gives up with connector_timeout; opens it never answers fail with connector_timeout after 5 s',
    async prepare(lab) {
      connector = await lab.dialEarly('silent');
      connector.hello('connector').register(goodToken(lab.lab, 'connector', 'silent', ['mute']));
      await connector.take('registerAck');
      const [command, ...args] = lab.lab.connectCommand('carol', 'mute');
      agent = lab.spawn(command!, args);
      // The first session is accepted and left; what comes after it is not even answered.
      void connector.take('incoming').then(({ session }) => connector.send({ type: 'accept', session }), () => undefined);
    },
    async run(lab) {
      const mallory = await lab.join('agent', 'mallory');
      const asked = performance.now();
      mallory.open('mute', 1);
      const failed = await mallory.take('openFailed');
      const seconds = (performance.now() - asked) / 1000;
      for await (const _ of lab.rounds(50)) void _;
      const exit = await Promise.race([agent.exited, lab.sinceStart(45_000).then(() => 'still waiting')]);
      const line = agent.stderrLines.find((text) => text.startsWith('ztna-agent:')) ?? 'nothing said';
      lab.keep(connector);
      return new Findings()
        .equal(failed.code, 'connector_timeout', 'an open without an answer')
        .check(seconds < ACCEPT_TIMEOUT_S + 3, `refused after ${seconds.toFixed(1)} s only`)
        .equal(exit, 1, 'exit of the agent')
        .check(line.includes('connector_timeout'), line)
        .seen(`open: ${failed.code} after ${seconds.toFixed(1)} s; agent: ${line.slice(0, 60)}`);
    },
  };
};
