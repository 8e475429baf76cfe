// An overlay whose certificates are replaced by ztna-certs, each process with a folder's worth of files of its
// own, as on three machines. Owns the files and the commands; what is rotated when is the tests'.

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Lab, ROOT, type RunningAgent } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { startEchoBackend } from '../harness/tcp.js';

const CERTS_MAIN = join(ROOT, 'certs', 'dist', 'main.js');
export const SERVICE = 'echo';

export interface RotationLab {
  readonly lab: Lab;
  readonly relay: ManagedProcess;
  readonly connector: ManagedProcess;
  readonly agent: RunningAgent;
  /** Runs ztna-certs; throws when it fails. */
  readonly certs: (...args: string[]) => Promise<string>;
  /** Writes the CA bundle of one process in one step, from CA folders. */
  readonly trust: (name: string, ...authorities: string[]) => void;
}

/** Relay `relay-1`, connector `con-1` for `echo` and agent `alice`, of the CA in `pki`; each has NAME.ca.crt, NAME.crt and NAME.key. `relayExtra` goes into relay.yaml. */
export const startRotationLab = async (t: Test, relayExtra: object = {}): Promise<RotationLab> => {
  const backend = await startEchoBackend(t);
  const lab = Lab.create(t);
  const certs = async (...args: string[]): Promise<string> => {
    const command = lab.run(CERTS_MAIN, args);
    const exit = await command.exited;
    if (exit !== 0) throw new Error(`ztna-certs ${args.join(' ')}: ${exit}\n${command.log}`);
    return command.stdout.toString();
  };
  const trust = (name: string, ...authorities: string[]): void => {
    writeFileSync(lab.path(`${name}.ca.new`), authorities.map((directory) => lab.read(`${directory}/ca.crt`)).join(''));
    renameSync(lab.path(`${name}.ca.new`), lab.path(`${name}.ca.crt`));
  };
  const tls = (name: string): object => ({ tls: { ca: `${name}.ca.crt`, certificate: `${name}.crt`, key: `${name}.key` } });

  // As ztna-certs init makes it, without the quarter second of CPU that each of its processes takes.
  lab.write('pki/ca.crt', lab.authority.certificatePem);
  lab.write('pki/ca.key', lab.authority.keyPem);
  lab.registrationKey('alice', 'agent');
  lab.registrationKey('con-1', 'connector', [SERVICE]);
  for (const name of ['relay-1', 'con-1', 'alice']) trust(name, 'pki');
  lab.issue('connector', 'con-1', [SERVICE]);
  // This one is in the CA's record, which revoking looks into.
  await certs('issue', 'agent', 'alice', '--dir', 'pki', '--out', '.');
  lab.write('deny.yaml', '{}\n');
  const config = lab.writeRelay([{ allow: ['alice', 'bob'], services: [SERVICE] }], { extra: { ...tls('relay-1'), denyList: 'deny.yaml', ...relayExtra } });
  const relay = await lab.startRelayFrom(config);
  const connector = await lab.startConnector('con-1', { [SERVICE]: { backend: backend.address } }, tls('con-1'));
  const agent = await lab.startAgent('alice', [{ service: SERVICE }], tls('alice'));
  return { lab, relay, connector, agent, certs, trust };
};
