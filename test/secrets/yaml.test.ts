// The script's YAML reader against the library that our processes use: what it accepts, it reads alike; what it does not,
// it refuses. And every awk here gives the same answer.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { parseAllDocuments, stringify } from 'yaml';
import { ROOT } from '../harness/lab.js';
import { findTool } from '../harness/tools.js';

const READER = ['yaml.awk', 'yaml-flow.awk'].flatMap((file) => ['-f', join(ROOT, 'scripts', 'validate-secrets', file)]);
const AWKS = [['awk'], ['mawk'], ['gawk'], ['busybox', 'awk']].filter(([name]) => findTool(name!) !== undefined);

type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain };

/** Leaves as `path → text`, in the reader's notation. */
const leavesOf = (value: unknown, path = ''): string[] => {
  if (Array.isArray(value)) return [`${path}=[]`, ...value.flatMap((item, index) => leavesOf(item, `${path}\u001f${index}`))];
  if (typeof value === 'object' && value !== null) return [`${path}={}`, ...Object.entries(value).flatMap(([key, item]) => leavesOf(item, `${path}\u001f${key}`))];
  return [typeof value === 'string' ? `${path}="${value}` : `${path}=${value === null ? 'null' : 'scalar'}`];
};

const unescape = (text: string): string => text.replace(/\\([\\ntr])/g, (_, letter: string) => ({ '\\': '\\', n: '\n', t: '\t', r: '\r' })[letter]!);

const read = (text: string, awk: readonly string[] = ['awk']): { leaves: string[]; broken: boolean } => {
  const { stdout, status } = spawnSync(awk[0]!, [...awk.slice(1), ...READER], { input: text, env: { ...process.env, LC_ALL: 'C' }, timeout: 30_000, maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`${awk.join(' ')} ended with ${String(status)}`);
  const lines = stdout.toString().split('\n').slice(0, -1).map((line) => line.split('\t'));
  const leaves = lines.map(([, path, type, value]) => `${path!}=${type === 'm' ? '{}' : type === 'q' ? '[]' : type === 's' ? `"${unescape(value!)}` : /^(~|null|Null|NULL)?$/.test(value!) ? 'null' : 'scalar'}`);
  return { leaves, broken: lines.some(([, , type]) => type === '!') };
};

// Names and texts as configuration has them, and a few that bite.
const text = fc.oneof(
  fc.constantFrom('', 'yes', 'null', '~', '12', '1e3', '- a', 'a: b', 'a #b', '# c', "it's", 'say "x"', ' lead', 'trail ', 'two\nlines', 'end\n', 'gap\n\nend\n', '\nstart', '  deep\n in\n', '*x', '&x', '!x', '{a}', '[b', '%', '@', '`', 'a\\b', 'tab\there', '---', '...', '?', ':', '-', '<<', '|', '>'),
  fc.string({ unit: fc.constantFrom(...'abz09 .:/-_#"\'\\{}[],&*!|>%@`=+'), maxLength: 24 }),
  fc.string({ unit: fc.constantFrom('word', ' ', 'longer-word', '\n', 'ü', '€'), maxLength: 60 }),
);
const key = fc.oneof(fc.constantFrom('data', 'tls.crt', 'a/b', 'x-y', 'q"', "k'", 'sp ace', '1', 'true'), fc.string({ unit: fc.constantFrom(...'abc.:#-'), minLength: 1, maxLength: 6 })).filter((name) => name !== '<<' && name !== '__proto__');
const { tree } = fc.letrec<{ tree: Plain }>((tie) => ({
  tree: fc.oneof({ maxDepth: 4 }, text, fc.constantFrom<Plain>(null, true, 3, -1.5), fc.array(tie('tree'), { maxLength: 4 }), fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true })),
}));
const styles = fc.constantFrom<Parameters<typeof stringify>[2]>({}, { lineWidth: 0 }, { defaultStringType: 'QUOTE_SINGLE' }, { defaultStringType: 'QUOTE_DOUBLE' }, { blockQuote: 'folded' }, { collectionStyle: 'flow' }, { indentSeq: false }, { indent: 4 });

t.test('reads whatever the yaml library writes, in any of its styles, as the library does', (t) => {
  fc.assert(
    fc.property(fc.dictionary(key, tree, { minKeys: 1, maxKeys: 5, noNullPrototype: true }), styles, (value, style) => {
      const yaml = stringify(value, undefined, style);
      const { leaves, broken } = read(yaml);
      if (broken) throw new Error(`refused:\n${yaml}\n${leaves.join('\n')}`);
      const [document] = parseAllDocuments(yaml);
      const expected = leavesOf((document as { toJS(): unknown }).toJS());
      if (JSON.stringify([...leaves].sort()) !== JSON.stringify([...expected].sort())) throw new Error(`${yaml}\n${JSON.stringify(leaves)}\n${JSON.stringify(expected)}`);
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('what it accepts of arbitrary text, the library reads alike', (t) => {
  const piece = fc.constantFrom('a', 'b', 'key', ': ', ':', '- ', '-', '\n', '\n', '\n  ', '\n    ', '"', "'", '[', ']', '{', '}', ', ', ' #c', '|', '>', '|-\n  x', '\\n', '\\', ' ', '~', '1', '---\n', '&x', '*x', '!t', '?', '\t', '%', 'é');
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')), (yaml) => {
      const { leaves, broken } = read(yaml);
      if (broken || leaves.length === 0) return;
      const documents = parseAllDocuments(yaml, { version: '1.2', uniqueKeys: true, stringKeys: true });
      if (!Array.isArray(documents) || documents.length !== 1 || documents.some((document) => document.errors.length > 0)) return;
      accepted++;
      const expected = leavesOf(documents[0]!.toJS({ maxAliasCount: 0 }));
      if (JSON.stringify([...leaves].sort()) !== JSON.stringify([...expected].sort())) throw new Error(`${JSON.stringify(yaml)}\n${JSON.stringify(leaves)}\n${JSON.stringify(expected)}`);
    }),
    { numRuns: 400 },
  );
  t.ok(accepted > 20, `${accepted} were compared`);
  t.end();
});

t.test('every awk on this machine gives the same answer', (t) => {
  const yaml = stringify({ kind: 'Secret', data: { a: 'x\n y\n', 'b c': [1, null, { d: '"\\u00e9€' }] }, empty: {} });
  const [first, ...rest] = AWKS.map((awk) => read(yaml, awk));
  t.notOk(first!.broken);
  for (const other of rest) t.same(other, first);
  t.end();
});

t.test('depth and length are bounded, and take bounded time', (t) => {
  t.ok(read('['.repeat(100_000)).broken);
  t.ok(read('{"a":'.repeat(1000)).broken);
  t.ok(read('- '.repeat(1000)).broken);
  t.notOk(read(`a: [${'x,'.repeat(200_000)}]`).broken);
  t.notOk(read(`a: "${'x\\n'.repeat(200_000)}"`).broken);
  t.end();
});
