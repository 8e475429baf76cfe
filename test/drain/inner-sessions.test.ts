// Which inner connection may be heard on which session at a connector, and when a session is of no use.

import t, { type Test } from 'tap';
import { InnerSessions } from '@ztna/app-connector';
import { SessionCarrier, type EndpointConnection, type FailureCode, type LinkedSession } from '@ztna/protocol';
import { eventually } from '../quic/eventually.js';
import { createInnerPair } from '../quic/pair.js';

const ALICE = 'spiffe://example.test/agent/alice';
const MALLORY = 'spiffe://example.test/agent/mallory';
const FIRST: LinkedSession = { link: 0, session: { slot: 1, tag: 1 } };
const SECOND: LinkedSession = { link: 1, session: { slot: 1, tag: 1 } };

t.test('packets of a connection are taken over sessions of the same agent only', (t) => {
  const { sessions, hosts } = createSessions(t);
  sessions.add(FIRST, ALICE, outer());
  sessions.add(SECOND, MALLORY, outer());
  const [first, second] = hosts();
  const { connection } = createConnection();
  sessions.connect(connection, first!);
  t.equal(sessions.acceptsPath(connection, second!, ALICE), false, "another agent's session");
  t.equal(sessions.acceptsPath(connection, second!, undefined), false, 'before the handshake has proved who it is');
  t.equal(sessions.acceptsPath(connection, '10.9.9.9', ALICE), false, 'no session at all');
  t.equal(sessions.acceptsPath(connection, second!, MALLORY), true);
  t.end();
});

t.test('a connection lives as long as one of its sessions', (t) => {
  const { sessions, hosts, closed } = createSessions(t);
  sessions.add(FIRST, ALICE, outer());
  sessions.add(SECOND, ALICE, outer());
  const [first, second] = hosts();
  const { connection, abandoned } = createConnection();
  sessions.connect(connection, first!);
  sessions.acceptsPath(connection, second!, ALICE);
  sessions.end(FIRST, 'session_ended');
  t.same(abandoned, [], 'it has moved');
  sessions.end(SECOND, 'draining');
  t.same(abandoned, ['draining']);
  t.same(closed, [], 'what the relay has ended is not ended again');
  t.end();
});

t.test('a session that goes by another name on another link keeps its address, its connections and its agent', (t) => {
  const { sessions, hosts, closed, carrier } = createSessions(t);
  sessions.add(FIRST, ALICE, outer());
  const [host] = hosts();
  const { connection, abandoned } = createConnection();
  sessions.connect(connection, host!);
  const moved: LinkedSession = { link: 1, session: { slot: 9, tag: 9 } };
  sessions.move(FIRST, moved, outer());
  t.same(hosts(), [host], 'to the inner endpoint nothing has changed');
  t.same(carrier.sessionAt(host!), moved.session);
  sessions.end(FIRST, 'connector_gone');
  t.same(abandoned, [], 'the old name means nothing any more');
  sessions.move(FIRST, SECOND, outer());
  t.equal(sessions.size, 1, 'nor can it be moved again');
  sessions.disconnect(connection);
  t.match(closed, [{ ...moved, code: 'no_error' }]);
  t.end();
});

t.test('the end of a connection ends the sessions that only it used', (t) => {
  const { sessions, hosts, closed } = createSessions(t);
  sessions.add(FIRST, ALICE, outer());
  sessions.add(SECOND, ALICE, outer());
  const [first, second] = hosts();
  const [one, other] = [createConnection(), createConnection()];
  sessions.connect(one.connection, first!);
  sessions.acceptsPath(one.connection, second!, ALICE);
  sessions.connect(other.connection, second!);
  sessions.disconnect(one.connection);
  t.match(closed, [{ ...FIRST, code: 'no_error' }]);
  sessions.disconnect(other.connection);
  t.match(closed, [FIRST, SECOND]);
  t.equal(sessions.size, 0);
  t.end();
});

t.test('a session on which nothing arrives is ended with session_idle, and what it carried with it', (t) => {
  const { sessions, hosts, closed } = createSessions(t);
  sessions.add(FIRST, ALICE, outer());
  const { connection, abandoned } = createConnection();
  sessions.connect(connection, hosts()[0]!);
  for (let n = 0; n < 6; n += 1) t.equal(sessions.sweep(), 0);
  t.equal(sessions.sweep(), 1);
  t.match(closed, [{ ...FIRST, code: 'session_idle' }]);
  t.same(abandoned, ['session_idle']);
  t.end();
});

t.test('a session takes a few connections, and no more', (t) => {
  const { sessions, hosts } = createSessions(t);
  sessions.add(FIRST, ALICE, outer());
  const [host] = hosts();
  for (let n = 0; n < 4; n += 1) {
    t.equal(sessions.admits(host!), true);
    sessions.connect(createConnection().connection, host!);
  }
  t.equal(sessions.admits(host!), false);
  t.equal(sessions.admits('10.9.9.9'), false);
  t.end();
});

t.test('an endpoint does not show QUIC a packet from an address that its connection refuses, and counts it', async (t) => {
  const pair = await createInnerPair(t, {}, { far: { acceptsPath: () => false } });
  pair.clientSocket.rebind();
  pair.connection.ping();
  await eventually(() => pair.server.drops.path_refused > 0);
  t.equal(pair.far.count('migrated'), 0);
});

/** A stand-in: the connections' own behaviour is not in question. */
function createConnection(): { connection: EndpointConnection; abandoned: FailureCode[] } {
  const abandoned: FailureCode[] = [];
  return { connection: { abandon: (code: FailureCode) => void abandoned.push(code) } as unknown as EndpointConnection, abandoned };
}

function outer(): EndpointConnection {
  return createConnection().connection;
}

function createSessions(t: Test) {
  const carrier = new SessionCarrier();
  const closed: (LinkedSession & { code: FailureCode })[] = [];
  const sessions = new InnerSessions(carrier, ({ link, session }, code) => void closed.push({ link, session, code }));
  t.teardown(() => sessions.stop());
  /** Made-up hosts in the order of their sessions. */
  const hosts = (): string[] => ['10.0.0.1', '10.0.0.2'].filter((host) => carrier.sessionAt(host));
  return { sessions, hosts, closed, carrier };
}
