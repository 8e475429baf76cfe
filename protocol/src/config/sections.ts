// The sections that several processes' configuration files share. Each process's own file composes
// them; relay.yaml, connector.yaml and agent.yaml are described with their process.

import { z } from 'zod';
import { isName, NAME_RULE } from '../identity.js';
import { LOG_FORMATS, LOG_LEVELS } from '../log/logger.js';
import { UDP_MODES } from '../udp/open-socket.js';
import { formatHostPort, hostPort } from './address-schema.js';
import { filePath } from './file-path.js';

const nameOf = (what: string) => {
  const rule = `must be ${what}: ${NAME_RULE}`;
  return z.string({ error: rule }).refine(isName, { error: rule });
};

/** A service's name, as in `web`. Also fit for the keys of a `z.record`. */
export const serviceName = nameOf('a service name');
/** The `<name>` of an identity. */
export const identityName = nameOf("an identity's name");

/** `tls`: the pinned CA, this process's certificate (chain) and its private key; absolute paths. */
export const tlsSection = z.strictObject({ ca: filePath, certificate: filePath, key: filePath });
export type TlsSection = z.infer<typeof tlsSection>;

/** `log`: optional as a whole and in each part. Defaults: `info`, `json`. */
export const logSection = z
  .strictObject({ level: z.enum(LOG_LEVELS).default('info'), format: z.enum(LOG_FORMATS).default('json') })
  .prefault({});
export type LogSection = z.infer<typeof logSection>;

/** `udp`: how sockets reach the kernel. Default `auto`: batched system calls where they work, node:dgram elsewhere. */
export const udpMode = z.enum(UDP_MODES).default('auto');

/** `registration`: the file with this client's registration key. */
export const registrationSection = z.strictObject({ key: filePath });

/** More relays than anyone runs; bounds the connections one client opens. */
const MAX_RELAYS = 16;

/** `relays`: where each relay is and the name its certificate must carry. One to 16, none twice. */
export const relaysSection = z
  .array(z.strictObject({ address: hostPort, name: nameOf("the relay's name, as in its certificate") }))
  .min(1)
  .max(MAX_RELAYS)
  .superRefine((relays, context) => {
    const seen = new Set<string>();
    relays.forEach((relay, index) => {
      const address = formatHostPort(relay.address);
      if (seen.has(address)) context.addIssue({ code: 'custom', path: [index, 'address'], message: 'must not be listed twice' });
      seen.add(address);
    });
  });
export type RelaysSection = z.infer<typeof relaysSection>;
