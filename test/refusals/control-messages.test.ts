// What the relay does with a control stream that breaks the rules, from clients with good certificates:
// the code the client sees and the one in the relay's log. An innocent flow runs on all the while.

import { randomBytes } from 'node:crypto';
import t from 'tap';
import { encodeCborMap, encodeControl, frameControl, MAX_CONTROL_BYTES, type ControlMessage, type FailureCode } from '@ztna/protocol';
import { startInnocentLab } from '../harness/innocent-flow.js';
import { dialAs, joinAs } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

const MALLORY = `spiffe://${TRUST_DOMAIN}/agent/mallory`;
const ROGUE = `spiffe://${TRUST_DOMAIN}/connector/rogue`;
const HANDLE = { slot: 0, tag: 0 };

const lab = Lab.create(t);
lab.enrol('agent', 'mallory');
lab.enrol('connector', 'rogue', ['ssh']);
const { relay, flow } = await startInnocentLab(t, lab);

const hello = encodeControl({ type: 'hello', versions: [1], software: 'hostile', role: 'agent' });
const announce = (length: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
};

const fatal: Record<string, { bytes: Uint8Array; code: FailureCode }> = {
  'a message announced one byte too large': { bytes: announce(MAX_CONTROL_BYTES + 1), code: 'control_message_too_large' },
  'a message announced at 4 GiB': { bytes: announce(0xffff_ffff), code: 'control_message_too_large' },
  'an oversized message in full': { bytes: Buffer.concat([announce(MAX_CONTROL_BYTES + 1), Buffer.alloc(MAX_CONTROL_BYTES + 1)]), code: 'control_message_too_large' },
  'random bytes in a frame': { bytes: frameControl(Buffer.concat([Buffer.of(0xff), randomBytes(200)])), code: 'control_message_malformed' },
  'an empty frame': { bytes: frameControl(new Uint8Array(0)), code: 'control_message_malformed' },
  // RFC 8949 §5.5: a head may announce more than any memory holds.
  'an array announced at 2^32 elements': { bytes: frameControl(Buffer.from('9affffffff', 'hex')), code: 'control_message_malformed' },
  'a map announced at 2^64 - 1 entries': { bytes: frameControl(Buffer.from('bbffffffffffffffff', 'hex')), code: 'control_message_malformed' },
  'arrays nested 60 000 deep': { bytes: frameControl(Buffer.alloc(60_000, 0x81)), code: 'control_message_malformed' },
  'a map without a type': { bytes: frameControl(encodeCborMap({ hello: 'world' })), code: 'control_message_malformed' },
  'a known type with a missing field': { bytes: frameControl(encodeCborMap({ type: 'open', request: 1 })), code: 'control_message_malformed' },
  'a token larger than 8 KiB': { bytes: frameControl(encodeCborMap({ type: 'register', token: randomBytes(8193) })), code: 'control_message_malformed' },
  'a map with __proto__': { bytes: frameControl(Buffer.from('a2' + '64' + '74797065' + '64' + '70696e67' + '69' + '5f5f70726f746f5f5f' + 'a0', 'hex')), code: 'control_message_malformed' },
};

for (const [what, { bytes, code }] of Object.entries(fatal)) {
  t.test(`closes a connection that sends ${what}, with ${code}`, async (t) => {
    relay.forgetEvents();
    const client = await dialAs(lab, 'mallory');
    client.sendRaw(hello).sendRaw(bytes);
    const end = await client.ended;
    t.equal(end.code, code);
    t.equal(end.by, 'peer');
    t.same(client.messages.map(({ type }) => type), ['helloAck', 'error'], 'answered before it was closed');
    t.match(client.messages[1], { code });
    await relay.waitFor('control_fault', { code, identity: MALLORY, fatal: true });
    await client.close();
    await flow.roundTrip();
  });
}

t.test('closes a connection whose first message is garbled, with control_message_malformed', async (t) => {
  relay.forgetEvents();
  const client = await dialAs(lab, 'mallory');
  client.sendRaw(frameControl(randomBytes(64)));
  t.equal((await client.ended).code, 'control_message_malformed');
  await relay.waitFor('control_fault', { code: 'control_message_malformed', identity: MALLORY, fatal: true });
  await client.close();
});

t.test('closes a connection whose control stream ends inside a message, with control_message_malformed', async (t) => {
  relay.forgetEvents();
  const client = await dialAs(lab, 'mallory');
  client.sendRaw(hello).sendRaw(hello.subarray(0, -1)).finish();
  t.equal((await client.ended).code, 'control_message_malformed');
  await relay.waitFor('control_fault', { code: 'control_message_malformed', identity: MALLORY });
  await client.close();
});

t.test('closes a connection whose control stream ends between messages, with protocol_error', async (t) => {
  relay.forgetEvents();
  const client = await dialAs(lab, 'mallory');
  client.sendRaw(hello).finish();
  t.equal((await client.ended).code, 'protocol_error');
  await relay.waitFor('control_fault', { code: 'protocol_error', identity: MALLORY });
  await client.close();
});

t.test('answers a message of an unknown type with unknown_message_type, and the connection lives on', async (t) => {
  relay.forgetEvents();
  const client = await joinAs(lab, 'agent', 'mallory');
  client.sendRaw(frameControl(encodeCborMap({ type: 'teleport', where: 'web' })));
  t.match(await client.take('error'), { code: 'unknown_message_type', about: 'teleport' });
  await relay.waitFor('control_fault', { code: 'unknown_message_type', about: 'teleport', identity: MALLORY, fatal: false });
  await client.roundTrip();
  t.notOk(client.hasEnded);
  await client.close();
});

const session = HANDLE;
const wrongRole: Record<string, { role: 'agent' | 'connector'; message: ControlMessage }> = {
  'open from a connector': { role: 'connector', message: { type: 'open', request: 1, service: 'web' } },
  'accept from an agent': { role: 'agent', message: { type: 'accept', session } },
  'reject from an agent': { role: 'agent', message: { type: 'reject', session, code: 'policy_denied', reason: '' } },
  'a second hello': { role: 'agent', message: { type: 'hello', versions: [1], software: 'again', role: 'agent' } },
  "the relay's registerAck": { role: 'agent', message: { type: 'registerAck', services: ['web'] } },
  "the relay's incoming": { role: 'connector', message: { type: 'incoming', session, agent: MALLORY, service: 'ssh' } },
  "the relay's sessionClosed": { role: 'agent', message: { type: 'sessionClosed', session, code: 'no_error' } },
  "the relay's drain": { role: 'agent', message: { type: 'drain', deadlineMs: 0 } },
};

for (const [what, { role, message }] of Object.entries(wrongRole)) {
  t.test(`answers ${what} with unexpected_message, and the connection lives on`, async (t) => {
    relay.forgetEvents();
    const [name, services] = role === 'agent' ? (['mallory', []] as const) : (['rogue', ['ssh']] as const);
    const client = await joinAs(lab, role, name, services);
    client.send(message);
    t.match(await client.take('error'), { code: 'unexpected_message', about: message.type });
    await relay.waitFor('message_refused', { code: 'unexpected_message', about: message.type, identity: role === 'agent' ? MALLORY : ROGUE });
    await client.roundTrip();
    await client.close();
  });
}

t.test('closes a connection that speaks before hello, with unexpected_message', async (t) => {
  relay.forgetEvents();
  const client = await dialAs(lab, 'mallory');
  client.open('web');
  const end = await client.ended;
  t.match(end, { code: 'unexpected_message', reason: 'open before hello' });
  await relay.waitFor('client_refused', { code: 'unexpected_message', identity: MALLORY });
  await client.close();
});

t.test('closes a connection without a version in common, with version_unsupported', async (t) => {
  relay.forgetEvents();
  const client = await dialAs(lab, 'mallory');
  client.send({ type: 'hello', versions: [2, 99], software: 'future', role: 'agent' });
  t.equal((await client.ended).code, 'version_unsupported');
  await relay.waitFor('client_refused', { code: 'version_unsupported', identity: MALLORY });
  await client.close();
});

t.test('allows a client the control stream and no other, of either kind', async (t) => {
  const client = await joinAs(lab, 'agent', 'mallory');
  t.equal(client.connection.quic.streamsLeft(), 0);
  t.equal(client.connection.openStream(), undefined);
  for (const [id, kind] of [[4, 'bidirectional'], [2, 'unidirectional']] as const) {
    t.ok(client.connection.quic.writeStream(id, Buffer.from('x'), false) < 0, `a second ${kind} stream is beyond the limit the relay set`);
  }
  await client.roundTrip();
  await client.close();
});

t.test('the innocent flow is untouched and no secret was logged', async (t) => {
  await flow.roundTrip();
  checkNoSecretsLogged(t, lab);
});
