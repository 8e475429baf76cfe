// Run by a test: dials a relay that never answers, stops, and has to exit without being told to.

import { openPlainSocket, RelayDriver, SessionCarrier, type RelayDriverInit } from '@ztna/protocol';
import { outerClient, TRUST_DOMAIN } from './pki.js';

const silent = await openPlainSocket({ host: '127.0.0.1', port: 0 });
const commands: unknown[] = [{ kind: 'dial', link: 0, relay: 0 }];
const machine = { nextCommand: () => commands.shift(), pollTimeout: () => performance.now() + 60_000, handleTimeout: () => undefined };
const driver = new RelayDriver({
  machine: machine as unknown as RelayDriverInit<never>['machine'],
  identity: { trustDomain: TRUST_DOMAIN, role: 'agent', name: 'alice' },
  relays: [{ name: 'relay-1', ...silent.local }],
  config: outerClient(),
  carrier: new SessionCarrier(),
  openSocket: openPlainSocket,
  perform: () => undefined,
});
const arrived = new Promise<void>((resolve) => silent.start({ onPacket: () => resolve(), onBatchEnd: () => undefined }));
driver.pump();
await arrived;
await driver.stop();
await silent.close();
