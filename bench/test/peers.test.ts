// What is said to other people's programs, and read from them.

import t from 'tap';
import { parseIperf } from '../lab/iperf.js';
import { encodeMessage, xorAddress } from '../load/turn-channel.js';

t.test('an address is masked with the magic cookie, as RFC 5769 §2.2 has it', async (t) => {
  t.equal(xorAddress({ host: '192.0.2.1', port: 32853 }).toString('hex'), [
    '00', // reserved
    '01', // IPv4
    'a147', // 32853 ^ 0x2112
    'e112a643', // 192.0.2.1 ^ 0x2112a442
  ].join(''));
});

t.test('a request to allocate a UDP relay', async (t) => {
  const id = Buffer.from('0102030405060708090a0b0c', 'hex');
  t.equal(encodeMessage(0x0003, id, Buffer.from('0019000411000000', 'hex')).toString('hex'), [
    '0003', // Allocate request
    '0008', // length of what follows the header
    '2112a442', // magic cookie
    '0102030405060708090a0b0c', // transaction id
    '0019', '0004', '11000000', // REQUESTED-TRANSPORT: UDP
  ].join(''));
});

t.test('iperf3 tells what arrived, or why nothing did', async (t) => {
  t.equal(parseIperf('{"end":{"sum_sent":{"bits_per_second":2e8},"sum_received":{"bits_per_second":1.5e8}}}'), 150);
  t.throws(() => parseIperf('{"error":"unable to connect to server"}'), /unable to connect/);
  t.throws(() => parseIperf('{"end":{}}'), /no sum/);
  t.throws(() => parseIperf('iperf3: parameter error'), /parameter error/);
});
