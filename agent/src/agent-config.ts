// agent.yaml: where the relays are, who we are, and which local ports lead to which service.

import { checkHealthGuard, clientHealthKeys, listenAddress, logSection, registrationSection, relaysSection, serviceName, tlsSection, udpMode } from '@ztna/protocol';
import { z } from 'zod';

/** More local ports than a person can remember; bounds the sockets one file can ask for. */
const MAX_LISTENERS = 256;

export const agentSchema = z.strictObject({
  relays: relaysSection,
  tls: tlsSection,
  registration: registrationSection,
  /** Default: none, for `ztna-agent connect` alone. */
  listeners: z
    .array(z.strictObject({ service: serviceName, protocol: z.enum(['tcp', 'udp']).default('tcp'), listen: listenAddress }))
    .max(MAX_LISTENERS)
    .default([]),
  udp: udpMode,
  log: logSection,
  /** Probes and metrics, for `up`. Default: nothing listens. */
  health: z.strictObject(clientHealthKeys(9435)).superRefine(checkHealthGuard).optional(),
});
export type AgentConfig = z.infer<typeof agentSchema>;
