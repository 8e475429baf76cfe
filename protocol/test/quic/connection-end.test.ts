// QUIC errors and TLS alerts to the overlay's own codes.

import t from 'tap';
import { failureMeaning, failureNumber, readConnectionEnd, type FailureCode, type QuicConnection, type QuicError } from '@ztna/protocol';

const connection = (state: { peer?: QuicError; local?: QuicError; isTimedOut?: boolean }): QuicConnection =>
  ({ peerError: () => state.peer, localError: () => state.local, isTimedOut: () => state.isTimedOut ?? false }) as QuicConnection;
const transport = (code: number, reason = ''): QuicError => ({ isApplication: false, code, reason });

const ALERTS: Readonly<Record<number, FailureCode>> = {
  43: 'certificate_purpose_invalid', 45: 'certificate_expired', 46: 'certificate_invalid',
  48: 'certificate_unknown_ca', 116: 'certificate_required', 120: 'alpn_mismatch',
};

t.test('every TLS alert has a code, the same from either side but for bad_certificate', async (t) => {
  for (let alert = 0; alert < 256; alert++) {
    if (alert === 42) continue;
    const expected = ALERTS[alert] ?? 'tls_failed';
    t.match(readConnectionEnd(connection({ peer: transport(0x100 + alert) }), false), { code: expected, by: 'peer' }, `${alert}`);
    t.match(readConnectionEnd(connection({ local: transport(0x100 + alert) }), false), { code: expected, by: 'local' }, `${alert}`);
  }
  t.match(readConnectionEnd(connection({ local: transport(0x12a) }), false), { code: 'certificate_name_mismatch' });
  t.match(readConnectionEnd(connection({ peer: transport(0x12a) }), false), { code: 'certificate_invalid' });
});

t.test('transport errors are protocol errors, but for a close in good order, a refusal, and an application that may not speak yet', async (t) => {
  for (const code of [1, 3, 4, 5, 0x0a, 0x0d, 0x10, 0xff, 0x200, 0x3fff]) {
    t.match(readConnectionEnd(connection({ peer: transport(code) }), true), { code: 'protocol_error', by: 'peer' }, `${code}`);
  }
  t.match(readConnectionEnd(connection({ peer: transport(0) }), true), { code: 'no_error' });
  t.match(readConnectionEnd(connection({ peer: transport(2) }), false), { code: 'connection_refused' });
  t.match(readConnectionEnd(connection({ peer: transport(0x0c) }), false), { code: 'connection_lost' });
});

t.test('application codes are read by number; the reason is the peer\'s, printable and clipped, or the code\'s meaning', async (t) => {
  const end = (reason: string, code = failureNumber('policy_denied')) =>
    readConnectionEnd(connection({ peer: { isApplication: true, code, reason } }), true);
  t.same(end('because'), { code: 'policy_denied', reason: 'because', by: 'peer' });
  t.equal(end('').reason, failureMeaning('policy_denied'));
  t.equal(end('x', 0xffff).code, 'protocol_error');
  t.ok(end('y'.repeat(5000)).reason.length <= 256);
  const { reason } = end('a\u001b[2Jb\nc');
  t.notOk(reason.includes('\u001b') || reason.includes('\n'));
});

t.test('without an error it is a timeout, of the handshake or of an idle connection, or a stateless reset', async (t) => {
  t.match(readConnectionEnd(connection({ isTimedOut: true }), true), { code: 'idle_timeout', by: 'timeout' });
  t.match(readConnectionEnd(connection({ isTimedOut: true }), false), { code: 'handshake_timeout', by: 'timeout' });
  t.match(readConnectionEnd(connection({}), true), { code: 'connection_lost', by: 'peer', reason: /restarted/ });
});

t.test('what the peer said wins over what this side said', async (t) => {
  t.match(readConnectionEnd(connection({ peer: transport(0x12d), local: transport(0) }), false), { code: 'certificate_expired', by: 'peer' });
});
