// What packets brought against what they weighed: honest traffic of every kind stays far below the bounds, and a
// peer that only makes QUIC hold things does not.

import t from 'tap';
import { MAX_HANDSHAKE_BYTES, MAX_IDLE_BYTES, PacketAccount } from '@ztna/protocol';

const PACKET = 1350;
const PAYLOAD = 1296;

t.test('an upload of a gigabyte is not excessive', async (t) => {
  const account = new PacketAccount();
  for (let bytes = 0; bytes < 2 ** 30; bytes += PAYLOAD) {
    account.addPacket(PACKET);
    account.addReceived(PAYLOAD);
  }
  t.equal(account.isExcessive(true), false);
  t.equal(account.isSuspicious, false);
});

t.test('a download is not excessive, each packet acknowledged by itself and every acknowledgement full of gaps', async (t) => {
  const account = new PacketAccount();
  for (let bytes = 0; bytes < 2 ** 30; bytes += PAYLOAD) {
    account.addSent(PAYLOAD);
    account.addPacket(180);
  }
  t.equal(account.isExcessive(true), false);
});

t.test('a day of address changes, one a minute, is not excessive; a padded packet every second for two hours is', async (t) => {
  const rare = new PacketAccount();
  for (let minute = 0; minute < 60 * 24; minute++) rare.addPacket(1200);
  t.equal(rare.isExcessive(true), false);
  const frequent = new PacketAccount();
  for (let second = 0; second < 2 * 3600; second++) frequent.addPacket(1200);
  t.ok(frequent.isSuspicious, 'looked at more closely on the way');
  t.equal(frequent.isExcessive(true), true);
});

t.test('full packets that bring nothing are excessive after MAX_IDLE_BYTES', async (t) => {
  const account = new PacketAccount();
  let sent = 0;
  while (!account.isExcessive(true)) {
    account.addPacket(PACKET);
    sent += PACKET;
  }
  t.ok(sent > MAX_IDLE_BYTES && sent < MAX_IDLE_BYTES * 1.1, `${sent} bytes`);
});

t.test('useful traffic buys half as much of the other, no more', async (t) => {
  const account = new PacketAccount();
  account.addSent(2 * MAX_IDLE_BYTES);
  let sent = 0;
  while (!account.isExcessive(true)) {
    account.addPacket(PACKET);
    sent += PACKET;
  }
  t.ok(sent > 2 * MAX_IDLE_BYTES && sent < 2.2 * MAX_IDLE_BYTES, `${sent} bytes`);
});

t.test('before the handshake is complete MAX_HANDSHAKE_BYTES is all there is', async (t) => {
  const account = new PacketAccount();
  for (let i = 0; i < 30; i++) account.addPacket(1200);
  t.equal(account.isExcessive(false), false, 'a chain of certificates, sent again and again');
  while (!account.isExcessive(false)) account.addPacket(1200);
  t.equal(account.isExcessive(true), false);
  t.ok(MAX_HANDSHAKE_BYTES < MAX_IDLE_BYTES);
});
