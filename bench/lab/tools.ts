// Programs of other people that benchmarks measure beside ours, where they are installed, and the Debian package
// that brings each. None of them is ever required.

import { createServer } from 'node:net';
import { findProgram } from '@ztna/protocol/testing';

const PACKAGES = {
  ip: 'iproute2',
  iperf3: 'iperf3',
  nebula: 'nebula',
  'nebula-cert': 'nebula',
  turnserver: 'coturn',
  ssh: 'openssh-client',
  sshd: 'openssh-server',
  'ssh-keygen': 'openssh-client',
} as const;

export type ToolName = keyof typeof PACKAGES;

export type FoundTools<Name extends ToolName> = { readonly ok: true; readonly path: Readonly<Record<Name, string>> } | { readonly ok: false; readonly reason: string };

/** The full path of a program, or undefined. */
export const findTool = (name: ToolName): string | undefined => findProgram(name);

/** All of them, or the first that is missing in words for people. */
export const findTools = <Name extends ToolName>(...names: Name[]): FoundTools<Name> => {
  const path = {} as Record<Name, string>;
  for (const name of names) {
    const found = findTool(name);
    if (found === undefined) return { ok: false, reason: `${name} is not installed (Debian package ${PACKAGES[name]})` };
    path[name] = found;
  }
  return { ok: true, path };
};

/** A TCP port that nobody has now; in a namespace of our own, nobody will. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
