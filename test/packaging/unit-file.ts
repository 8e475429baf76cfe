// What the tests ask of a systemd unit: its settings, and which system calls its filter lets through, with the sets as
// systemd itself knows them.

import { readFileSync } from 'node:fs';
import { runTool } from '../harness/tools.js';

export type Unit = ReadonlyMap<string, readonly string[]>;

/** Every value of every setting, in order, by `Section.Name`. */
export const readUnit = (path: string): Unit => {
  const unit = new Map<string, string[]>();
  let section = '';
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (/^\s*([#;]|$)/.test(line)) continue;
    const header = /^\[(\w+)\]$/.exec(line);
    if (header) section = header[1]!;
    else {
      const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`${path}: ${line}: is neither a section nor a setting`);
      const key = `${section}.${name}`;
      unit.set(key, [...(unit.get(key) ?? []), value!]);
    }
  }
  return unit;
};

/** The only value of a setting. */
export const only = (unit: Unit, key: string): string => {
  const values = unit.get(key) ?? [];
  if (values.length !== 1) throw new Error(`${key} is set ${values.length} times`);
  return values[0]!;
};

/** The calls that SystemCallFilter= lets through: what is listed, without what is listed after `~`. */
export const allowedCalls = async (analyze: string, unit: Unit): Promise<Set<string>> => {
  const sets = await callSets(analyze);
  const expand = (name: string): string[] => (name.startsWith('@') ? (sets.get(name) ?? []).flatMap(expand) : [name]);
  // systemd always allows these: a program has to be started, and to end.
  const allowed = new Set(expand('@default').concat('execve', 'exit', 'exit_group'));
  for (const line of unit.get('Service.SystemCallFilter') ?? []) {
    const deny = line.startsWith('~');
    for (const call of line.slice(deny ? 1 : 0).split(' ').flatMap(expand)) {
      if (deny) allowed.delete(call);
      else allowed.add(call);
    }
  }
  return allowed;
};

const callSets = async (analyze: string): Promise<Map<string, string[]>> => {
  const { stdout } = await runTool(analyze, ['syscall-filter', '--no-pager']);
  const sets = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of stdout.toString().split('\n')) {
    if (/^@[\w-]+$/.test(line)) sets.set(line, (current = []));
    else if (/^ {4}[@\w-]+$/.test(line)) current.push(line.trim());
  }
  return sets;
};
