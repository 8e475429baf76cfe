// Whether a process is ready for traffic, and if not, why: a closed set of checks, each of which the process
// answers from what it knows already. Asking is cheap; nothing is dialed or read for an answer.

/** What `/readyz` can find not ready, with one sentence for people, without a full stop. */
export const READINESS_CHECKS = {
  listening: 'the sockets that traffic comes in by are open',
  certificate: "this process's own certificate and the CA above it are valid now",
  keyring: 'the keyring is loaded, and if it holds keys, one of them is active now',
  draining: 'the process was not asked to stop',
  registered: 'a relay has accepted the registration, and the connection stands',
  backend: 'the backend of every TCP service accepts connections',
} as const;
export type ReadinessCheck = keyof typeof READINESS_CHECKS;

export interface ReadinessFault {
  readonly check: ReadinessCheck;
  /** Of several alike, which: a service of our own configuration. */
  readonly about?: string;
  /** A few words. No address, no secret. */
  readonly reason: string;
}

/** Asked at every `/readyz`; an empty list means ready. */
export type Readiness = () => readonly ReadinessFault[];

/** `backend web: refused` */
export const formatReadinessFault = ({ check, about, reason }: ReadinessFault): string => `${check}${about === undefined ? '' : ` ${about}`}: ${reason}`;
