// A crowd of idle clients in one process: each has a connection of its own to the relay, is registered, and pings
// as a real client does. Says so on standard error as the other processes do: `crowd_ready` once all are
// registered, `crowd_lost` for each connection that ended.
//
//   node crowd.js DIRECTORY NAME RELAY_PORT COUNT
//
// Sources are spread over 127.1.0.0/16, since the relay admits 64 connections from one.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  ControlChannel,
  createQuicConfig,
  Endpoint,
  formatIdentity,
  loadDocument,
  loadTlsMaterial,
  mintToken,
  openPlainSocket,
  OUTER_PROFILE,
  parseRegistrationKey,
  quicPems,
  relayDnsName,
  SOFTWARE,
  type ConnectionHandler,
} from '@ztna/protocol';

const CONNECTIONS_PER_SOURCE = 50;
/** Enough to keep both ends busy, few enough that no handshake waits for a second. */
const HANDSHAKES_AT_ONCE = 32;
/** As `pingIntervalMs` of a real client. */
const PING_MS = 10_000;

const [directory, name, port, countText] = process.argv.slice(2) as [string, string, string, string];
const count = Number(countText);
const tls = loadTlsMaterial({ ca: join(directory, 'ca.crt'), certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) }, { role: 'agent' });
const { key } = loadDocument(join(directory, `${name}.regkey`), parseRegistrationKey, { secret: true });
const audience = formatIdentity({ ...tls.identity, role: 'relay', name: 'relay-1' });
const config = createQuicConfig({ ...OUTER_PROFILE, ...quicPems(tls), maxStreams: 0 });
const relay = { host: '127.0.0.1', port: Number(port) };
const endpoints: Endpoint[] = [];
const report = (line: object): void => void process.stderr.write(`${JSON.stringify(line)}\n`);

let begun = 0;
let registered = 0;

const mint = (): Uint8Array<ArrayBuffer> =>
  new Uint8Array(mintToken({ identity: tls.identity, services: [], audience, binding: tls.fingerprint }, key, { now: Date.now(), randomBytes }));

/** One client: hello and register as soon as it is connected, then a ping every PING_MS, from a moment of its own on. */
const client = (): ConnectionHandler => {
  let timer: NodeJS.Timeout | undefined;
  return {
    onEstablished: (connection) => {
      const stream = connection.openStream();
      if (!stream) return connection.close('protocol_error');
      const control = new ControlChannel(stream, {
        onMessage: ({ type }) => {
          if (type !== 'registerAck') return;
          if (++registered === count) report({ event: 'crowd_ready', count });
          timer = setInterval(() => control.send({ type: 'ping', timestamp: 0 }), PING_MS * (0.8 + 0.2 * Math.random()));
          next();
        },
        onFault: () => connection.close('protocol_error'),
        onControlEnd: (code) => connection.close(code),
      });
      control.send({ type: 'hello', versions: [1], software: SOFTWARE, role: 'agent' });
      control.send({ type: 'register', token: mint() });
    },
    onEnd: (_connection, end) => {
      clearInterval(timer);
      report({ event: 'crowd_lost', code: end.code, reason: end.reason });
    },
  };
};

const next = (): void => {
  if (begun === count) return;
  const endpoint = endpoints[Math.floor(begun++ / CONNECTIONS_PER_SOURCE)]!;
  endpoint.connect(relay, relayDnsName('relay-1', tls.identity.trustDomain), config, client());
};

for (let source = 0; source < count / CONNECTIONS_PER_SOURCE; source++) {
  const host = `127.1.${Math.floor(source / 250)}.${(source % 250) + 1}`;
  endpoints.push(new Endpoint({ socket: await openPlainSocket({ host, port: 0 }) }));
}
for (let i = 0; i < Math.min(count, HANDSHAKES_AT_ONCE); i++) next();
