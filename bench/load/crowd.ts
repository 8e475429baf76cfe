// A crowd of clients in one process: each has a connection of its own to the relay, is registered, and pings as a
// real client does. Idle, or each with a session over which the crowd sends in turn, at the rate it is told. Says on
// standard error, as the other processes do, `crowd_ready` once all are there, `crowd_lost` for each that ended.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  ControlChannel,
  DATAGRAM_QUEUED,
  DatagramType,
  DEFAULT_LINK_LIMITS,
  HEADER_BYTES,
  createQuicConfig,
  Endpoint,
  formatIdentity,
  loadDocument,
  loadTlsMaterial,
  mintToken,
  openDatagramSocket,
  OUTER_PROFILE,
  parseRegistrationKey,
  quicPems,
  relayDnsName,
  SOFTWARE,
  writeHeader,
  type ConnectionHandler,
  type EndpointConnection,
} from '@ztna/protocol';
import { Pacer } from './pacer.js';
import { answerRequests, settings } from './requests.js';

export interface CrowdSettings {
  /** Where NAME.crt, NAME.key and NAME.regkey are, and ca.crt. */
  readonly directory: string;
  readonly name: string;
  readonly relay: { readonly host: string; readonly port: number };
  readonly count: number;
  /** Where all come from. Default: 50 each from addresses of 127.1.0.0/16, since the relay admits 64 from one. */
  readonly host?: string;
  /** Each opens a session to it. Default: none, and standard input is left alone. */
  readonly service?: string;
  readonly packetBytes?: number;
}

const CONNECTIONS_PER_SOURCE = 50;
/** Enough to keep both ends busy, few enough that no handshake waits for a second. */
const HANDSHAKES_AT_ONCE = 32;
/** And one in twenty: more, and the relay is at fault. */
const MAX_LOST = 10;

const { directory, name, relay, count, host, service, packetBytes = 0 } = settings<CrowdSettings>();
const tls = loadTlsMaterial({ ca: join(directory, 'ca.crt'), certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) }, { role: 'agent' });
const { key } = loadDocument(join(directory, `${name}.regkey`), parseRegistrationKey, { secret: true });
const audience = formatIdentity({ ...tls.identity, role: 'relay', name: 'relay-1' });
const config = createQuicConfig({ ...OUTER_PROFILE, ...quicPems(tls), maxStreams: 0 });
/** As a real agent without sessions, or with one. */
const pingMs = service === undefined ? DEFAULT_LINK_LIMITS.idlePingIntervalMs : DEFAULT_LINK_LIMITS.pingIntervalMs;
const endpoints: Endpoint[] = [];
const sessions: { readonly connection: EndpointConnection; readonly slot: number; readonly tag: number }[] = [];
const report = (line: object): void => void process.stderr.write(`${JSON.stringify(line)}\n`);

let begun = 0;
let ready = 0;
let lost = 0;
let isLeaving = false;

const mint = (): Uint8Array<ArrayBuffer> =>
  new Uint8Array(mintToken({ identity: tls.identity, services: [], audience, binding: tls.fingerprint }, key, { now: Date.now(), randomBytes }));

/** One client: hello and register as soon as it is connected, then a ping every `pingMs`, from a moment of its own on. */
const client = (): ConnectionHandler => {
  let timer: NodeJS.Timeout | undefined;
  let isReady = false;
  const becomeReady = (): void => {
    isReady = true;
    if (++ready === count) report({ event: 'crowd_ready', count });
    next();
  };
  return {
    onEstablished: (connection) => {
      const stream = connection.openStream();
      if (!stream) return connection.close('protocol_error');
      const control = new ControlChannel(stream, {
        onMessage: (message) => {
          if (message.type === 'opened') {
            sessions.push({ connection, ...message.session });
            return becomeReady();
          }
          if (message.type === 'openFailed') return connection.close(message.code);
          if (message.type !== 'registerAck') return;
          timer = setTimeout(() => {
            connection.ping();
            timer = setInterval(() => connection.ping(), pingMs);
          }, pingMs * Math.random());
          if (service === undefined) becomeReady();
          else control.send({ type: 'open', request: 1, service });
        },
        onFault: () => connection.close('protocol_error'),
        onControlEnd: (code) => connection.close(code),
      });
      control.send({ type: 'hello', versions: [1], software: SOFTWARE, role: 'agent' });
      control.send({ type: 'register', token: mint() });
    },
    onEnd: (connection, end) => {
      clearInterval(timer);
      if (isLeaving) return;
      const index = sessions.findIndex((session) => session.connection === connection);
      if (index >= 0) sessions.splice(index, 1);
      report({ event: 'crowd_lost', code: end.code, reason: end.reason });
      if (++lost > MAX_LOST + count / 20) process.exit(1);
      if (ready === count) return;
      // Another in its place: on a busy machine a handshake may time out.
      if (isReady) ready--;
      begun--;
      next();
    },
  };
};

const next = (): void => {
  if (begun === count) return;
  const endpoint = endpoints[Math.floor(begun++ / CONNECTIONS_PER_SOURCE)]!;
  endpoint.connect(relay, relayDnsName('relay-1', tls.identity.trustDomain), config, client());
};

for (let source = 0; source < count / CONNECTIONS_PER_SOURCE; source++) {
  const from = host ?? `127.1.${Math.floor(source / 250)}.${(source % 250) + 1}`;
  endpoints.push(new Endpoint({ socket: await openDatagramSocket({ host: from, port: 0 }, { mode: 'auto' }) }));
}
for (let i = 0; i < Math.min(count, HANDSHAKES_AT_ONCE); i++) next();

process.once('SIGTERM', () => {
  isLeaving = true;
  void Promise.all(endpoints.map((endpoint) => endpoint.close('no_error'))).then(() => process.exit(0));
});

if (service !== undefined) {
  const datagram = Buffer.alloc(HEADER_BYTES + packetBytes, 7);
  let turn = 0;
  let refused = 0;
  const pacer = new Pacer((packets) => {
    for (let n = 0; n < packets; n++) {
      const { connection, slot, tag } = sessions[turn++ % sessions.length]!;
      writeHeader(datagram, DatagramType.data, slot, tag);
      if (connection.sendDatagram(datagram) !== DATAGRAM_QUEUED) refused++;
    }
  });
  answerRequests(
    () => ({ sent: pacer.sent, refused }),
    ({ rate }) => rate === undefined || pacer.setRate(Number(rate)),
  );
}
