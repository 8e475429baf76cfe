// Who is who in the quickstart, and what the files are called. The values appear in certificates, configuration
// and on the page of the private app.

/** `.test` is reserved and never resolves (RFC 6761 §6.2). */
export const TRUST_DOMAIN = 'quickstart.test';
export const RELAY = 'relay-1';
export const CONNECTOR = 'connector-1';
export const AGENT = 'alice';
export const SERVICE = 'web';

export const ROLES = ['private app', 'relay', 'connector', 'agent'] as const;
export type ProcessRole = (typeof ROLES)[number];

/** Configuration and log of each process. */
export const PROCESS_FILES: Record<ProcessRole, { readonly config: string; readonly log: string }> = {
  'private app': { config: 'private-app.yaml', log: 'private-app.log' },
  relay: { config: 'relay.yaml', log: 'relay.log' },
  connector: { config: 'connector.yaml', log: 'connector.log' },
  agent: { config: 'agent.yaml', log: 'agent.log' },
};
/** The relay's own: which clients are connected (docs/configuration.md, `journal`). */
export const JOURNAL_FILE = 'relay.journal';
export const POLICY_FILE = 'policy.yaml';
