// Connecting and the first message: who gets in, and what a client may say afterwards.

import t from 'tap';
import { formatIdentity, type ControlMessage, type ControlType } from '@ztna/protocol';
import { close, eventCodes, OBSERVED, peer, RelayFixture, send, TRUST_DOMAIN, uri } from './relay-fixture.js';

const HELLO_ACK: ControlMessage = {
  type: 'helloAck',
  version: 1,
  software: 'relay/1.0',
  relay: uri('relay', 'relay-1'),
  observed: OBSERVED,
  limits: { maxServices: 64, maxSessions: 1024, maxControlBytes: 65_536, idleTimeoutMs: 30_000 },
};

t.test('answers hello with the relay, the limits and the address it sees', (t) => {
  const relay = new RelayFixture();
  t.same(relay.connect(1, 'agent', 'alice'), [
    {
      kind: 'event',
      event: { level: 'info', name: 'client_connected', conn: 1, identity: uri('agent', 'alice') },
    },
  ]);
  t.same(relay.hello(1, 'agent'), [send(1, HELLO_ACK)]);
  t.end();
});

t.test('answers hello with the address the client has moved to', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  const moved = { host: '2001:db8::7', port: 5000 };
  relay.machine.handleAddressChanged(1, moved, 0);
  t.same(relay.take(), [], 'says nothing before hello');
  t.same(relay.hello(1, 'agent'), [send(1, { ...HELLO_ACK, observed: moved })]);
  relay.machine.handleAddressChanged(1, moved, 1);
  t.same(relay.take(), [], 'says nothing when the address is the same');
  relay.machine.handleAddressChanged(1, OBSERVED, 2);
  t.same(relay.take(), [send(1, { type: 'observedAddress', observed: OBSERVED })]);
  t.end();
});

t.test('closes a client of another trust domain', (t) => {
  const relay = new RelayFixture();
  const stranger = peer('agent', 'alice', 'elsewhere.test');
  relay.machine.handleConnected(1, stranger, 0);
  const identity = formatIdentity(stranger.identity);
  const reason = `this relay serves ${TRUST_DOMAIN}`;
  const code = 'trust_domain_mismatch';
  t.same(relay.take().slice(1), [
    { kind: 'event', event: { level: 'warn', name: 'client_refused', conn: 1, identity, code, reason } },
    close(1, code, reason),
  ]);
  t.same(relay.hello(1, 'agent'), [], 'and no longer listens to it');
  t.end();
});

t.test('closes a client with a relay certificate', (t) => {
  const relay = new RelayFixture();
  const commands = relay.connect(1, 'relay', 'relay-2');
  t.same(eventCodes(commands), ['client_connected -', 'client_refused role_not_allowed']);
  t.same(commands.at(-1), close(1, 'role_not_allowed', 'a relay certificate is no client certificate'));
  t.end();
});

t.test('closes a connection whose first message is not hello', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  const commands = relay.say(1, { type: 'ping', timestamp: 1 });
  t.same(eventCodes(commands), ['client_refused unexpected_message']);
  t.same(commands.at(-1), close(1, 'unexpected_message', 'ping before hello'));
  t.end();
});

t.test('closes an agent certificate used as connector, and the other way round', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  relay.connect(2, 'connector', 'c1');
  t.same(
    relay.hello(1, 'connector').at(-1),
    close(1, 'role_not_allowed', 'hello as connector with a certificate for agent'),
  );
  t.same(
    relay.hello(2, 'agent').at(-1),
    close(2, 'role_not_allowed', 'hello as agent with a certificate for connector'),
  );
  t.end();
});

t.test('closes a client without a version in common', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  const commands = relay.say(1, { type: 'hello', versions: [0, 2], software: '', role: 'agent' });
  t.same(eventCodes(commands), ['client_refused version_unsupported']);
  t.same(commands.at(-1), close(1, 'version_unsupported', 'this relay speaks version 1'));
  t.end();
});

t.test('closes a client that says nothing for 10 s, not one that has said hello', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  relay.now = 4_000;
  relay.connect(2, 'agent', 'bob');
  relay.hello(2, 'agent');
  relay.connect(3, 'agent', 'carol');
  t.equal(relay.machine.pollTimeout(), 10_000);
  t.same(relay.advance(5_999), [], 'early');
  const commands = relay.advance(1);
  t.same(eventCodes(commands), ['client_refused handshake_timeout']);
  t.same(commands.at(-1), close(1, 'handshake_timeout', 'no hello within 10000 ms'));
  t.equal(relay.machine.pollTimeout(), 14_000);
  relay.disconnect(3);
  t.equal(relay.machine.pollTimeout(), undefined, 'a client that left is not waited for');
  t.end();
});

t.test('answers ping with its timestamp, before registration too', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  relay.hello(1, 'agent');
  t.same(relay.say(1, { type: 'ping', timestamp: 77 }), [send(1, { type: 'pong', timestamp: 77 })]);
  t.end();
});

const handle = { slot: 0, tag: 0 };
const SAMPLES: { [T in ControlType]: ControlMessage & { type: T } } = {
  hello: { type: 'hello', versions: [1], software: '', role: 'agent' },
  helloAck: HELLO_ACK,
  register: { type: 'register', token: new Uint8Array() },
  registerAck: { type: 'registerAck', services: [] },
  registerNack: { type: 'registerNack', code: 'no_error', reason: '' },
  open: { type: 'open', request: 1, service: 'web' },
  opened: { type: 'opened', request: 1, session: handle, connector: uri('connector', 'c1') },
  openFailed: { type: 'openFailed', request: 1, code: 'no_error', reason: '' },
  incoming: { type: 'incoming', session: handle, agent: uri('agent', 'alice'), service: 'web' },
  accept: { type: 'accept', session: handle },
  reject: { type: 'reject', session: handle, code: 'no_error', reason: '' },
  closeSession: { type: 'closeSession', session: handle },
  sessionMoved: { type: 'sessionMoved', session: handle, before: handle },
  sessionClosed: { type: 'sessionClosed', session: handle, code: 'no_error' },
  observedAddress: { type: 'observedAddress', observed: OBSERVED },
  drain: { type: 'drain', deadlineMs: 0 },
  ping: { type: 'ping', timestamp: 0 },
  pong: { type: 'pong', timestamp: 0 },
  error: { type: 'error', code: 'no_error', reason: '', about: '' },
};
const MAY_SEND = {
  agent: ['register', 'open', 'closeSession', 'ping'],
  connector: ['register', 'accept', 'reject', 'closeSession', 'ping'],
} as const;

for (const role of ['agent', 'connector'] as const) {
  const refused = Object.values(SAMPLES).filter(({ type }) => !(MAY_SEND[role] as readonly string[]).includes(type));
  for (const message of refused) {
    t.test(`answers ${message.type} from a registered ${role} with an error and stays open`, (t) => {
      const relay = new RelayFixture();
      if (role === 'agent') relay.joinAgent(1, 'alice');
      else relay.joinConnector(1, 'c1', ['web']);
      const about = message.type;
      const code = 'unexpected_message';
      const identity = uri(role, role === 'agent' ? 'alice' : 'c1');
      t.same(relay.say(1, message), [
        send(1, { type: 'error', code, reason: `${about} is not for this role to send, or not now`, about }),
        { kind: 'event', event: { level: 'warn', name: 'message_refused', conn: 1, identity, code, about } },
      ]);
      t.same(relay.say(1, { type: 'ping', timestamp: 5 }), [send(1, { type: 'pong', timestamp: 5 })]);
      t.end();
    });
  }
}

t.test('answers a message it could not decode with an error', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  const code = 'unknown_message_type';
  relay.machine.handleControlFault(1, { code, reason: 'no such type', about: 'teleport', fatal: false }, 0);
  const event = { level: 'warn', name: 'control_fault', conn: 1, identity: uri('agent', 'alice'), code };
  t.same(relay.take(), [
    send(1, { type: 'error', code, reason: 'no such type', about: 'teleport' }),
    { kind: 'event', event: { ...event, reason: 'no such type', about: 'teleport', fatal: false } },
  ]);
  t.end();
});

t.test('closes after a fatal control fault, cutting text to what a message takes', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  const code = 'control_message_too_large';
  const fault = { code, reason: `${'x'.repeat(255)}\u{1f600}`, about: 'y'.repeat(100), fatal: true } as const;
  relay.machine.handleControlFault(1, fault, 0);
  const reason = 'x'.repeat(255);
  const commands = relay.take();
  t.same(commands[0], send(1, { type: 'error', code, reason, about: 'y'.repeat(64) }));
  t.same(eventCodes(commands), [`control_fault ${code}`]);
  t.same(commands.at(-1), close(1, code, reason));
  relay.machine.handleControlFault(1, fault, 0);
  t.same(relay.take(), [], 'a closed connection is not answered again');
  t.end();
});

t.test('closes on any control fault before hello', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  const code = 'unknown_message_type';
  relay.machine.handleControlFault(1, { code, reason: 'no such type', fatal: false }, 0);
  t.same(relay.take().at(-1), close(1, code, 'no such type'));
  t.end();
});

t.test('ignores whatever comes for a connection it does not know', (t) => {
  const relay = new RelayFixture();
  relay.machine.handleControl(9, { type: 'ping', timestamp: 0 }, 0);
  relay.machine.handleControlFault(9, { code: 'protocol_error', reason: '', fatal: true }, 0);
  relay.machine.handleAddressChanged(9, OBSERVED, 0);
  relay.machine.handleDisconnected(9, 0);
  t.same(relay.take(), []);
  t.end();
});

t.test('treats a connection id taken again as the end of the older connection', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  const commands = relay.connect(1, 'agent', 'bob');
  t.same(eventCodes(commands), ['client_disconnected -', 'client_connected -']);
  t.equal(relay.machine.stats().connections, 1);
  t.end();
});
