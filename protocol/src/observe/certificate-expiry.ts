// Says in the log that this process's certificate, or the CA above it, will expire: at the start, whenever one of the
// thresholds is crossed, and once a day from the first of them on. The same as a metric is certificate-window.ts.

import type { TlsMaterial } from '../config/tls-material.js';
import type { Logger } from '../log/logger.js';
import { certificateWindow, type CertificateWindow } from './certificate-window.js';

const DAY_MS = 86_400_000;
/** A third of the 90 days that certificates live by default; then a week; then the last day. */
export const EXPIRY_THRESHOLD_DAYS = [30, 7, 1] as const;
/** A certificate of a day is not warned of all its life: from a third of it on at the earliest. */
const SHARE_OF_LIFE = 1 / 3;
/** Hourly, as a certificate may live for hours only; what was said is said again a day later. */
const LOOK_INTERVAL_MS = 3_600_000;

type Which = 'own' | 'ca';
type Certificates = Pick<TlsMaterial, 'caPem' | 'certificatePem'>;

interface Said {
  readonly at: number;
  readonly stage: number;
}

export class ExpiryWarnings {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #said = new Map<Which, Said>();
  #window: CertificateWindow;
  #timer: NodeJS.Timeout | undefined;

  /** @param now milliseconds since the Unix epoch */
  constructor(tls: Certificates, log: Logger, now: () => number = Date.now) {
    this.#window = certificateWindow(tls);
    this.#log = log;
    this.#now = now;
  }

  /** Looks now, and every hour. Does not keep the process alive. */
  start(): void {
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Other certificates are in force: what was said of the old ones does not count. */
  apply(tls: Certificates): void {
    const next = certificateWindow(tls);
    if (next.ownUntil !== this.#window.ownUntil) this.#said.delete('own');
    if (next.caUntil !== this.#window.caUntil) this.#said.delete('ca');
    this.#window = next;
    this.look();
  }

  look(): void {
    const { ownFrom, ownUntil, caFrom, caUntil } = this.#window;
    this.#lookAt('own', ownFrom, ownUntil);
    this.#lookAt('ca', caFrom, caUntil);
  }

  #lookAt(certificate: Which, from: number, until: number): void {
    const now = this.#now();
    const stage = stageOf(until - now, until - from);
    const before = this.#said.get(certificate);
    // The clock may have been set back.
    const isNews = !before || stage > before.stage || Math.abs(now - before.at) >= DAY_MS;
    if (stage === 0 || !isNews) return;
    this.#said.set(certificate, { at: now, stage });
    const fields = { certificate, daysLeft: Math.floor((until - now) / DAY_MS), notAfter: new Date(until).toISOString() };
    if (now >= until) this.#log.error('certificate_expired', { code: 'certificate_expired', ...fields });
    else this.#log[stage === LAST_STAGE ? 'error' : 'warn']('certificate_expiring', fields);
  }
}

const LAST_STAGE = EXPIRY_THRESHOLD_DAYS.length;

/** How many thresholds are behind: 0 with time left, one more than there are once it has expired. */
const stageOf = (left: number, life: number): number => {
  if (left <= 0) return LAST_STAGE + 1;
  if (left > life * SHARE_OF_LIFE) return 0;
  return EXPIRY_THRESHOLD_DAYS.filter((days) => left <= days * DAY_MS).length;
};
