// What the soak calls lost: every way a flow can end, judged.

import t from 'tap';
import type { FlowPlan } from './flow-plan.js';
import { judgeFlow, type Disturbance, type FlowEnd } from './verdict.js';

const plan: FlowPlan = { kind: 'exchange', up: 10, down: 20, abortAfter: 5, pauseMs: 0, thinkMs: 0 };
const end = (ending: FlowEnd['ending'], received: number): FlowEnd => ({ ending, received, detail: '' });
const cut: Disturbance = { fault: 'kill relay-1', blindEnd: undefined };
const agentKilled: Disturbance = { fault: 'kill bob', blindEnd: 'client' };

t.test('a flow nobody touched has to be whole at both ends', async (t) => {
  t.equal(judgeFlow(plan, end('end', 20), end('end', 10), []), 'complete');
  t.match(judgeFlow(plan, end('reset', 20), end('end', 10), []), { fault: /undisturbed/ });
  t.match(judgeFlow(plan, end('end', 20), end('reset', 10), []), { fault: /undisturbed/ });
  t.match(judgeFlow(plan, end('reset', 0), undefined, []), { fault: /never reached/ });
});

t.test('a flow that a fault touched may be cut off at either end, but not stay open or lie', async (t) => {
  t.equal(judgeFlow(plan, end('reset', 3), end('reset', 10), [cut]), 'cut');
  t.equal(judgeFlow(plan, end('end', 20), end('reset', 10), [cut]), 'cut');
  t.equal(judgeFlow(plan, end('reset', 0), undefined, [cut]), 'cut');
  t.equal(judgeFlow(plan, end('end', 20), end('end', 10), [cut]), 'complete');
  t.match(judgeFlow(plan, end('end', 19), end('reset', 10), [cut]), { fault: /client saw a FIN after 19 of 20/ });
  t.match(judgeFlow(plan, end('reset', 19), end('end', 9), [cut]), { fault: /backend saw a FIN after 9 of 10/ });
  t.match(judgeFlow(plan, end('stuck', 19), end('end', 10), [cut]), { fault: /client stuck/ });
  t.match(judgeFlow(plan, end('corrupt', 1), end('end', 10), [cut]), { fault: /client corrupt/ });
});

t.test('what may only refuse a flow excuses none that has begun', async (t) => {
  const rebind: Disturbance = { fault: 'rebind con', blindEnd: undefined, onlyRefuses: true };
  t.equal(judgeFlow(plan, end('reset', 0), undefined, [rebind]), 'cut');
  t.match(judgeFlow(plan, end('reset', 3), end('reset', 10), [rebind]), { fault: /undisturbed/ });
  t.match(judgeFlow(plan, end('reset', 3), undefined, [rebind]), { fault: /undisturbed/ });
  t.equal(judgeFlow(plan, end('reset', 3), end('reset', 10), [rebind, cut]), 'cut');
});

t.test("only the neighbour of a killed process may see its kernel's FIN", async (t) => {
  t.equal(judgeFlow(plan, end('end', 19), end('reset', 10), [agentKilled]), 'cut');
  t.match(judgeFlow(plan, end('reset', 19), end('end', 9), [agentKilled]), { fault: /backend saw a FIN/ });
});

t.test('an abort is an error at the other end', async (t) => {
  const byClient: FlowPlan = { ...plan, kind: 'clientAborts' };
  t.equal(judgeFlow(byClient, end('aborted', 20), end('reset', 3), []), 'aborted');
  t.equal(judgeFlow(byClient, end('aborted', 0), undefined, []), 'aborted');
  t.match(judgeFlow(byClient, end('aborted', 20), end('end', 5), []), { fault: /backend saw a FIN after 5/ });
  t.match(judgeFlow(byClient, end('end', 20), end('end', 10), []), { fault: /good order/ });
  t.equal(judgeFlow(byClient, end('aborted', 20), end('stuck', 3), []), 'overdue');
  const byBackend: FlowPlan = { ...plan, kind: 'backendAborts' };
  t.equal(judgeFlow(byBackend, end('reset', 5), end('aborted', 10), []), 'aborted');
  t.match(judgeFlow(byBackend, end('end', 5), end('aborted', 10), []), { fault: /client saw a FIN after 5/ });
});

t.test('a refusal is a reset without a byte, whatever else happens', async (t) => {
  const refused: FlowPlan = { ...plan, kind: 'refused' };
  t.equal(judgeFlow(refused, end('reset', 0), undefined, []), 'refused');
  t.match(judgeFlow(refused, end('reset', 0), end('reset', 1), []), { fault: /reached a backend/ });
  t.match(judgeFlow(refused, end('end', 20), undefined, [cut]), { fault: /not refused/ });
  t.equal(judgeFlow(refused, end('end', 0), undefined, [agentKilled]), 'cut');
  t.match(judgeFlow(refused, end('end', 1), undefined, [agentKilled]), { fault: /not refused/ });
});
