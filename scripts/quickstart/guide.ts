// What quickstart prints: a line for each step, then what is running and what to try. Only text; nothing is
// started or stopped here.

import { POLICY_FILE, SERVICE, type ProcessRole } from './names.js';

export interface RunningProcess {
  readonly role: ProcessRole;
  readonly pid: number;
  readonly address: string;
  readonly config: string;
}

export interface GuideInput {
  readonly processes: readonly RunningProcess[];
  /** The agent's local port. */
  readonly port: number;
  /** The directory as a person would type it. */
  readonly shown: string;
}

const ROLE_WIDTH = 'private app'.length;

export const stepLine = (what: string, about: string): string => `  ✓ ${what.padEnd(ROLE_WIDTH)}  ${about}`;

export const guide = ({ processes, port, shown }: GuideInput): string => `
Running, each its own process:

${table([['pid', 'role', 'address', 'configuration'], ...processes.map(({ pid, role, address, config }) => [String(pid), role, address, config])])}

Try it:

  curl http://127.0.0.1:${port}/
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | npx ztna-agent connect ${SERVICE} -c ${shown}/agent.yaml

The first goes through the agent that is running; the second is an agent of its own on standard input and
output, as ssh uses it. In a browser: http://127.0.0.1:${port}/

What to look at next:

  ${shown}/*.yaml   how each process is configured; ${POLICY_FILE} says who may reach what
  tail -f ${shown}/*.log   what each process does with your request
  npx ztna-certs inspect ${shown}/connector-1.crt --ca ${shown}/ca.crt   who a process is
  README.md   put your own service behind it

Ctrl-C stops everything and removes the files it made in ${shown}.
`;

const table = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]!.map((_cell, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()}`).join('\n');
};
