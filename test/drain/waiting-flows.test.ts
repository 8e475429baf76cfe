// Flows that wait at the agent: none waits forever, and each is told what for.

import t from 'tap';
import { MAX_WAITING_FLOWS, WaitingFlows, type FlowRequest } from '@ztna/agent';

const request = (): FlowRequest & { readonly refusals: string[] } => {
  const refusals: string[] = [];
  return { refusals, onOpen: () => undefined, onRefused: (code, reason) => void refusals.push(`${code}: ${reason}`) };
};

t.test('a flow that waits too long is refused, with what it waited for at that moment', async (t) => {
  let what = 'a relay';
  const waiting = new WaitingFlows(() => what, 20);
  const late = request();
  t.equal(waiting.add(late), true);
  what = 'the handshake with connector con-1';
  await new Promise<void>((resolve) => (waiting.add({ ...request(), onRefused: () => resolve() })));
  t.same(late.refusals, ['connector_timeout: waited 0.02 s for the handshake with connector con-1']);
  t.equal(waiting.size, 0);
});

t.test('flows are taken in their order, and their deadlines with them', async (t) => {
  const waiting = new WaitingFlows(() => 'nothing', 1);
  const flows = [request(), request()];
  for (const flow of flows) waiting.add(flow);
  t.same(waiting.take(), flows);
  await new Promise<void>((resolve) => (waiting.add({ ...request(), onRefused: () => resolve() })));
  t.same(flows.map(({ refusals }) => refusals), [[], []]);
});

t.test('one flow too many is refused at once', (t) => {
  const waiting = new WaitingFlows(() => 'nothing');
  for (let n = 0; n < MAX_WAITING_FLOWS; n += 1) waiting.add(request());
  const extra = request();
  t.equal(waiting.add(extra), false);
  t.match(extra.refusals, [/^too_many_flows/]);
  waiting.take();
  t.end();
});
