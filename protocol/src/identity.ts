// Identities and names: who a certificate speaks for and which services it may serve.
// Owns their syntax; reading them out of a certificate is certificate-identity.ts.
// SPIFFE-ID §2: the URI SAN is the identity, never the CN.

/** What a certificate is for. One per certificate. */
export const ROLES = ['agent', 'connector', 'relay'] as const;
export type Role = (typeof ROLES)[number];

export interface Identity {
  readonly trustDomain: string;
  readonly role: Role;
  readonly name: string;
}

/** RFC 1123 §2.1 label, lower case only, so that two names are equal exactly when their bytes are. */
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const labelPattern = new RegExp(`^${LABEL}$`);
const domainPattern = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const SPIFFE = 'spiffe://';
const uriPattern = new RegExp(`^spiffe://(${LABEL}(?:\\.${LABEL})*)/(${ROLES.join('|')})/(${LABEL})$`);

/** RFC 1035 §2.3.4 less room for `<63-byte label>.relay.`; a longer trust domain could not be put into a DNS SAN. */
export const MAX_TRUST_DOMAIN_LENGTH = 180;

/** A service or identity name: 1–63 of a–z, 0–9 and inner hyphens. No dots, no upper case, no Unicode. */
export const isName = (text: string): boolean => labelPattern.test(text);

/** What `isName` accepts, for messages to people. */
export const NAME_RULE = '1 to 63 of a-z, 0-9 and hyphen, not starting or ending with a hyphen';

/** The SPIFFE ID of a trust domain itself, which its CA has (X.509-SVID §3.2). Undefined for anything else. */
export const parseTrustDomainUri = (uri: string): string | undefined => {
  const trustDomain = uri.startsWith(SPIFFE) ? uri.slice(SPIFFE.length) : '';
  return isTrustDomain(trustDomain) ? trustDomain : undefined;
};

export const isTrustDomain = (text: string): boolean =>
  text.length <= MAX_TRUST_DOMAIN_LENGTH && domainPattern.test(text);

export const formatIdentity = (id: Identity): string => `spiffe://${id.trustDomain}/${id.role}/${id.name}`;

/** Parses `spiffe://<trust-domain>/<role>/<name>`; anything else, by one byte, is undefined. */
export const parseIdentity = (uri: string): Identity | undefined => {
  const match = uriPattern.exec(uri);
  if (!match || !isTrustDomain(match[1]!)) return undefined;
  return { trustDomain: match[1]!, role: match[2]! as Role, name: match[3]! };
};

/** The DNS SAN that gives a connector the right to serve a service, and the SNI of the inner handshake. */
export const serviceDnsName = (service: string, trustDomain: string): string => `${service}.svc.${trustDomain}`;

/** The DNS SAN of a relay, and the SNI of the outer handshake. */
export const relayDnsName = (relay: string, trustDomain: string): string => `${relay}.relay.${trustDomain}`;

/** The service behind `<service>.svc.<trust-domain>`, or undefined. */
export const parseServiceDnsName = (dnsName: string, trustDomain: string): string | undefined => {
  const suffix = `.svc.${trustDomain}`;
  if (!dnsName.endsWith(suffix)) return undefined;
  const service = dnsName.slice(0, -suffix.length);
  return isName(service) ? service : undefined;
};
