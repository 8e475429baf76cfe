// `ztna-certs revoke`: puts a certificate, or every certificate of an identity, on the relay's deny list.

import type { Command } from 'commander';
import { parseIdentity, ZtnaError } from '@ztna/protocol';
import { readTextFile } from '../files/secret-file.js';
import { addToDenyList, type Denied } from '../record/deny-list-file.js';
import { parseSerial, sameSerial, type IssuedRecord } from '../record/issued-record.js';
import { readRecords } from '../record/read-records.js';
import { parseCertificates } from '../x509/certificate-reader.js';
import { print } from './options.js';

interface RevokeOptions {
  readonly dir: string;
  readonly denyList: string;
  readonly force?: true;
}

export const registerRevoke = (program: Command): void => {
  program
    .command('revoke')
    .description("put a certificate or an identity on the relay's deny list")
    .argument('<what>', 'a serial number, an identity such as agent/alice (all its certificates), or a certificate file NAME.crt')
    .option('--dir <dir>', "the CA's directory, to look it up", '.')
    .option('--deny-list <file>', 'the file relay.yaml names under denyList; made if missing', 'denylist.yaml')
    .option('--force', 'also what the CA has no record of')
    .action((what: string, options: RevokeOptions) => runRevoke(what, options));
};

const runRevoke = (what: string, { dir, denyList, force }: RevokeOptions): void => {
  const { denied, identity } = parseDenied(what);
  refuseRelay(identity);
  const matching = force ? knownOrNone(dir, denied) : findIssued(dir, denied, what);
  refuseRelay(matching[0]?.identity);
  const added = addToDenyList(denyList, denied);
  const subject = 'serial' in denied ? `certificate ${denied.serial}${matching[0] ? ` (${matching[0].identity})` : ''}` : `identity ${denied.identity}`;
  print([added ? `revoked ${subject} in ${denyList}` : `${subject} is in ${denyList} already`, ...consequences(denied, matching, denyList)].join('\n'));
};

/** It is relays that ask the list, and about their clients: an entry for a relay would look like one and do nothing. */
const refuseRelay = (identity: string | undefined): void => {
  const name = identity && /(?:^|\/)relay\/([^/]+)$/.exec(identity)?.[1];
  if (!name) return;
  throw new ZtnaError(
    'usage',
    `${identity} is a relay, and the deny list is for clients of relays: take ${name} out of relays in every agent.yaml and connector.yaml, since clients dial no relay that is not named there, and give the next relay another name`,
  );
};

const consequences = (denied: Denied, matching: readonly IssuedRecord[], denyList: string): string[] => {
  const live = matching.filter(({ notAfter }) => Date.parse(notAfter) > Date.now());
  const whom = 'serial' in denied ? 'its connections, sessions and flows' : `the connections, sessions and flows of every certificate of that name${matching.length > 0 ? ` (${live.length} recorded and still valid)` : ''}`;
  return [
    `  a relay whose denyList is ${denyList} ends ${whom} within a second, and refuses new ones (certificate_revoked)`,
    'serial' in denied
      ? '  other certificates of the identity stay valid: to shut it out altogether, revoke the identity'
      : '  a new certificate for that name is denied too, until the entry is removed',
    "next: put the file on every relay if this is not where they read it; see that the relay logs 'reloaded'",
  ];
};

/** `identity` as far as `what` itself tells. @throws ZtnaError `usage` */
const parseDenied = (what: string): { readonly denied: Denied; readonly identity?: string | undefined } => {
  if (/\.(crt|pem|old)$/.test(what)) {
    const [{ serial, uris }] = parseCertificates(readTextFile(what).text, what);
    return { denied: { serial }, identity: uris[0] };
  }
  const short = /^spiffe:\/\/[^/]+\/(.+)$/.exec(what)?.[1] ?? what;
  if (short.includes('/')) {
    if (parseIdentity(`spiffe://x/${short}`)) return { denied: { identity: short }, identity: short };
    throw new ZtnaError('usage', `${JSON.stringify(what)} is no identity; write <role>/<name> with role agent or connector, such as agent/alice`);
  }
  const serial = parseSerial(what);
  if (serial !== undefined) return { denied: { serial } };
  throw new ZtnaError('usage', `${JSON.stringify(what)} is neither a serial number in hexadecimal, nor an identity such as agent/alice, nor a file NAME.crt`);
};

const isMatch = (denied: Denied) => (record: IssuedRecord): boolean =>
  'serial' in denied ? sameSerial(record.serial, denied.serial) : record.identity.endsWith(`/${denied.identity}`);

const findIssued = (dir: string, denied: Denied, what: string): IssuedRecord[] => {
  const matching = readRecords(dir).records.filter(isMatch(denied));
  if (matching.length > 0) return matching;
  throw new ZtnaError('usage', `the CA in ${dir} has no record of ${what}; check it with: ztna-certs list --all --dir ${dir}, or give --force to deny it all the same`);
};

/** With --force there need not be a CA at hand at all. */
const knownOrNone = (dir: string, denied: Denied): IssuedRecord[] => {
  try {
    return readRecords(dir).records.filter(isMatch(denied));
  } catch {
    return [];
  }
};
