// The subject alternative names of a certificate, out of the one string node:crypto gives for them.
// Owns its tokenising. Node separates entries by ", " and puts any value that holds a comma, quote,
// backslash or control character into JSON quotes (CVE-2021-44532). No name of ours needs any of
// these, so one quote anywhere means the certificate is not ours, and the rest splits safely.

export interface AltName {
  /** `URI`, `DNS`, `IP Address`, `email`, … as Node names them. */
  readonly type: string;
  readonly value: string;
}

export type AltNamesResult = { readonly ok: true; readonly names: AltName[] } | { readonly ok: false; readonly reason: string };

/** Enough for 64 services and a few more; bounds the work on a hostile certificate. */
const MAX_NAMES = 256;

/** Parses `X509Certificate.subjectAltName`; undefined means the certificate has none. */
export const parseSubjectAltName = (text: string | undefined): AltNamesResult => {
  if (text === undefined || text === '') return { ok: true, names: [] };
  if (text.includes('"')) return { ok: false, reason: 'a subject alternative name holds characters no name of ours has' };
  const entries = text.split(', ');
  if (entries.length > MAX_NAMES) return { ok: false, reason: `more than ${MAX_NAMES} subject alternative names` };
  const names: AltName[] = [];
  for (const entry of entries) {
    const colon = entry.indexOf(':');
    if (colon < 1 || entry.includes(',')) return { ok: false, reason: 'the subject alternative names cannot be read' };
    names.push({ type: entry.slice(0, colon), value: entry.slice(colon + 1) });
  }
  return { ok: true, names };
};
