// Policy documents: what they allow, and every fault in one that is refused.

import fc from 'fast-check';
import t from 'tap';
import { DENY_ALL, NAME_RULE, parsePolicy, type PolicyFault } from '@ztna/protocol';
import { policyOf } from './relay-fixture.js';

t.test('allows what a rule names, by agent or by group', (t) => {
  const policy = policyOf({
    groups: { dev: ['alice', 'bob'], ops: ['carol'] },
    rules: [
      { allow: ['dave', 'group:dev'], services: ['web', 'ssh-box'] },
      { allow: ['group:ops'], services: ['ssh-box'] },
    ],
  });
  for (const agent of ['alice', 'bob', 'dave']) t.equal(policy.decide(agent, 'web'), 'allow', agent);
  t.equal(policy.decide('carol', 'ssh-box'), 'allow');
  t.equal(policy.decide('carol', 'web'), 'policy_denied');
  t.equal(policy.decide('alice', 'mail'), 'service_unknown');
  t.equal(policy.decide('dev', 'web'), 'policy_denied', 'a group is no agent');
  t.equal(policy.decide('group:dev', 'web'), 'policy_denied');
  t.end();
});

t.test('takes an agent for itself, not for the group of the same name', (t) => {
  const policy = policyOf({ groups: { dev: ['alice'] }, rules: [{ allow: ['dev'], services: ['web'] }] });
  t.equal(policy.decide('dev', 'web'), 'allow');
  t.equal(policy.decide('alice', 'web'), 'policy_denied');
  t.end();
});

t.test('denies everything without rules', (t) => {
  for (const policy of [DENY_ALL, policyOf({}), policyOf({ rules: [] }), policyOf({ groups: { dev: ['alice'] } })]) {
    t.equal(policy.decide('alice', 'web'), 'service_unknown');
  }
  t.equal(policyOf({ rules: [{ allow: [], services: ['web'] }] }).decide('alice', 'web'), 'policy_denied');
  t.end();
});

t.test('reports every fault at once by key path', (t) => {
  const faults = faultsOf({
    groups: { Dev: ['alice'], ops: ['Carol', 'bob', 7] },
    rule: [],
    rules: [
      { allow: ['group:nobody', 'A_B', 'alice', 'group:ops'], services: ['web', 'bad.name'], action: 'deny' },
      { allow: 'alice' },
    ],
  });
  t.same(
    faults.map(({ path }) => path).sort(),
    [
      'groups.Dev',
      'groups.ops[0]',
      'groups.ops[2]',
      'rule',
      'rules[0].action',
      'rules[0].allow[0]',
      'rules[0].allow[1]',
      'rules[0].services[1]',
      'rules[1].allow',
      'rules[1].services',
    ],
  );
  const message = (path: string) => faults.find((fault) => fault.path === path)!.message;
  t.equal(message('groups.Dev'), `not a valid group name: ${NAME_RULE}`);
  t.equal(message('groups.ops[0]'), `"Carol" is not a name: ${NAME_RULE}`);
  t.equal(message('rule'), 'unknown key');
  t.equal(message('rules[0].allow[0]'), 'there is no group "nobody" under groups');
  t.equal(message('rules[0].allow[1]'), `"A_B" is neither group:<name> nor an agent name: ${NAME_RULE}`);
  t.end();
});

t.test('refuses a document that is no map, the empty one too', (t) => {
  for (const document of [null, undefined, 'rules', 7, []]) {
    t.equal(faultsOf(document)[0]!.path, '', JSON.stringify(document));
  }
  t.end();
});

t.test('refuses names that objects inherit as groups', (t) => {
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    const document = { groups: {}, rules: [{ allow: [`group:${name}`], services: ['web'] }] };
    t.match(faultsOf(document), [{ path: 'rules[0].allow[0]' }], name);
  }
  const rule = '{"allow":["group:__proto__"],"services":["web"],"__proto__":1}';
  const hidden: unknown = JSON.parse(`{"groups":{"__proto__":["alice"]},"__proto__":1,"rules":[${rule}]}`);
  t.same(faultsOf(hidden).map(({ path }) => path).sort(), ['__proto__', 'groups.__proto__', 'rules[0].__proto__']);
  t.end();
});

const NAMES = ['alice', 'bob', 'carol', 'dev', 'ops'];
const SERVICES = ['web', 'ssh', 'db'];
const name = fc.constantFrom(...NAMES);
const document = fc.record({
  groups: fc.record({ dev: fc.array(name), ops: fc.array(name) }),
  rules: fc.array(
    fc.record({
      allow: fc.array(fc.oneof(name, fc.constantFrom('group:dev', 'group:ops'))),
      services: fc.array(fc.constantFrom(...SERVICES)),
    }),
    { maxLength: 5 },
  ),
});

t.test('allows exactly the pairs that spelling the rules out contains', (t) => {
  fc.assert(
    fc.property(document, ({ groups, rules }) => {
      const policy = policyOf({ groups, rules });
      const pairs = new Set<string>();
      const named = new Set<string>();
      for (const { allow, services } of rules) {
        for (const service of services) {
          named.add(service);
          for (const entry of allow) {
            const agents = entry === 'group:dev' ? groups.dev : entry === 'group:ops' ? groups.ops : [entry];
            for (const agent of agents) pairs.add(`${agent} ${service}`);
          }
        }
      }
      for (const agent of NAMES) {
        for (const service of SERVICES) {
          const expected = pairs.has(`${agent} ${service}`) ? 'allow' : 'policy_denied';
          const decision = policy.decide(agent, service);
          if (decision !== (named.has(service) ? expected : 'service_unknown')) return false;
        }
      }
      return true;
    }),
  );
  t.end();
});

t.test('never throws on any document', (t) => {
  fc.assert(fc.property(fc.anything(), (value) => typeof parsePolicy(value).ok === 'boolean'));
  const almost = fc.record({ groups: fc.anything(), rules: fc.anything() });
  fc.assert(fc.property(almost, (value) => typeof parsePolicy(value).ok === 'boolean'));
  t.end();
});

function faultsOf(value: unknown): readonly PolicyFault[] {
  const parsed = parsePolicy(value);
  return parsed.ok ? [] : parsed.faults;
}
