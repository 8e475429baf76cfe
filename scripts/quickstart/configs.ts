// The configuration of each process, as an operator would write it. People read these files to learn what
// there is, so they carry comments. Relative paths in them are relative to the file.

import { AGENT, CONNECTOR, RELAY, SERVICE, TRUST_DOMAIN } from './names.js';

const tlsSection = (name: string): string => `\
# The CA that everybody pins, this process's certificate (its identity), and the private key (mode 0600).
tls:
  ca: ca.crt
  certificate: ${name}.crt
  key: ${name}.key
`;

const relaysSection = (relay: string): string => `\
# Where the relay is, and the name that its certificate must carry.
relays:
  - address: ${relay}
    name: ${RELAY}
`;

const registrationSection = (name: string): string => `\
# Signs a fresh token for every registration; the relay's keyring.yaml holds the public half.
registration:
  key: ${name}.regkey
`;

/** `debug` shows each session and flow. */
const LOG_SECTION = `\
log:
  level: debug   # default: info
  format: json   # or pretty, for people
`;

/** Off without this section. */
const HEALTH_SECTION = `\
# /healthz, /readyz and /metrics over HTTP. Any free port here (health_listening in the log says which); on a host: 127.0.0.1:9433
health:
  listen: 127.0.0.1:0
`;

export const privateAppConfig = (): string => `\
# The private web app: an ordinary program that knows nothing of the overlay. Not part of the product.

# Loopback only, on any free port: nobody outside this machine can reach it directly.
listen: 127.0.0.1:0

# What its page says about the way in.
path:
  agent: ${AGENT}
  relay: ${RELAY}
  connector: ${CONNECTOR}
  service: ${SERVICE}
`;

/** @param port 0: any free one */
export const relayConfig = (port: number): string => `\
# The relay (intermediate-server): knows who everybody is, decides who may reach what, reads nothing.
# Its identity, spiffe://${TRUST_DOMAIN}/relay/${RELAY}, comes from its certificate, not from this file.

# UDP. Loopback here; on a public host: 0.0.0.0:4433
listen: 127.0.0.1:${port}

${tlsSection(RELAY)}
# Keys that may sign registrations, each with a scope (ztna-certs keygen).
keyring: keyring.yaml
# Who may open which service. What it does not allow is denied.
policy: policy.yaml

# How long SIGTERM lets sessions finish; default 30s.
drainTimeout: 2s

${HEALTH_SECTION}
${LOG_SECTION}`;

export const policyConfig = (): string => `\
# Who may open which service. The relay enforces it; no rule, no session.
groups:
  friends: [${AGENT}]
rules:
  - allow: ["group:friends"]   # agents' names, or group:NAME
    services: [${SERVICE}]
`;

/** @param relay host:port @param backend host:port of the private app */
export const connectorConfig = (relay: string, backend: string): string => `\
# The connector (app-connector): stands beside the private app, dials out only, opens no port.
# Its identity is spiffe://${TRUST_DOMAIN}/connector/${CONNECTOR}; its certificate also carries the name
# ${SERVICE}.svc.${TRUST_DOMAIN}, without which no agent would believe that it serves "${SERVICE}".

${relaysSection(relay)}
${tlsSection(CONNECTOR)}
${registrationSection(CONNECTOR)}
# What it serves. The backend is this file's choice alone: no address ever comes over the network.
services:
  ${SERVICE}:
    protocol: tcp
    backend: ${backend}
    # Checked end to end, on top of the relay's policy: a relay that lies gets nobody in.
    allow: [${AGENT}]

${HEALTH_SECTION}
${LOG_SECTION}`;

/** @param relay host:port @param port 0: any free one */
export const agentConfig = (relay: string, port: number): string => `\
# The agent (ztna-agent): gives the programs on this machine a way in.
# Its identity is spiffe://${TRUST_DOMAIN}/agent/${AGENT}.

${relaysSection(relay)}
${tlsSection(AGENT)}
${registrationSection(AGENT)}
# Local ports, each leading to one service. Not needed for: ztna-agent connect ${SERVICE}
listeners:
  - service: ${SERVICE}
    protocol: tcp
    listen: 127.0.0.1:${port}

${LOG_SECTION}`;
