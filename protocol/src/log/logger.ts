// Structured logs over pino. Owns the line's shape (time, level, name, code, event, identity, then the
// rest); what may enter it is redact.ts, the form for people is pretty.ts, where it goes standard-error.ts. Standard output is never used: `ztna-agent connect` carries data on it.

import { performance } from 'node:perf_hooks';
import { pino, type Logger as Sink } from 'pino';
import { escapeText } from './escape-text.js';
import { INFO_RATES, LogThrottle, SUPPRESSION_REPORT_MS } from './log-throttle.js';
import { formatPretty } from './pretty.js';
import { redact } from './redact.js';
import { standardError } from './standard-error.js';

/** From most to least talkative; `silent` writes nothing. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['json', 'pretty'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Anything; `code` (a FailureCode or local code) and `identity` (a SPIFFE URI) come first in the line. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The levels others can provoke. `fatal` is the end of the process and comes once. */
export const THROTTLED_LEVELS = ['info', 'warn', 'error'] as const;
export type ThrottledLevel = (typeof THROTTLED_LEVELS)[number];

type LogMethod = (event: string, fields?: LogFields) => void;

/** `log.info('session_opened', { identity, service })`: the event is a stable snake_case name, never a sentence. */
export interface Logger extends Readonly<Record<Exclude<LogLevel, 'silent'>, LogMethod>> {
  /** A logger that adds `fields` to every line; a line's own fields win over them. */
  child(fields: LogFields): Logger;
  /** Lines left out since the process started, of this logger and all its kin. */
  readonly suppressed: Readonly<Record<ThrottledLevel, number>>;
  /** Lines that standard error had no room for, since the process started. */
  readonly lost: number;
  /** For fields that cost something to compute. */
  isLevelEnabled(level: LogLevel): boolean;
}

export interface LoggerOptions {
  /** Default `info`. */
  readonly level?: LogLevel;
  /** Default `json`: one object per line. */
  readonly format?: LogFormat;
  /** The process, as in `intermediate-server`. */
  readonly name: string;
  /** Takes whole lines with their newline. Default: standard error. */
  readonly destination?: LogDestination;
}

export interface LogDestination {
  write(line: string): unknown;
  /** Lines given up. Default: none. */
  readonly lost?: number;
}

/**
 * Creates a process's logger. Lines reach standard error before the call returns if there is room, so a process that exits or
 * crashes right after has lost none. Where there is none, because the reader is stopped or the disk full, nobody waits: lines are
 * held, up to `MAX_HELD_BYTES`, then given up, and told as `lines_lost`. A closed standard error is ignored. Lines of info, and
 * those of warn and error, are each held to a rate (log-throttle.ts); what is left out is told as `lines_suppressed`. Who asks
 * for debug wants every step and gets it: info is not held back then.
 */
export const createLogger = (options: LoggerOptions): Logger => {
  const destination = options.destination ?? standardError((lines) => sink.warn(arrange('lines_lost', { lines })));
  const pretty = options.format === 'pretty';
  const write = (line: string): void => {
    // JSON escapes C0 only. What is left of the dangerous characters can only be inside strings, where
    // the \uXXXX that escapeText writes is JSON too.
    const body = line.endsWith('\n') ? line.slice(0, -1) : line;
    destination.write(`${pretty ? formatPretty(body) : escapeText(body)}\n`);
  };
  const sink = pino(
    {
      level: options.level ?? 'info',
      base: { name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
  return wrap(sink, destination, new Throttled(sink), {});
};

/** The throttles for a process's logger and all its children, and the timer that tells what was left out. */
class Throttled {
  readonly suppressed: Record<ThrottledLevel, number> = { info: 0, warn: 0, error: 0 };
  readonly #sink: Sink;
  readonly #warnings = new LogThrottle(performance.now());
  readonly #infos: LogThrottle | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(sink: Sink) {
    this.#sink = sink;
    this.#infos = sink.isLevelEnabled('debug') ? undefined : new LogThrottle(performance.now(), INFO_RATES);
  }

  admits(level: LogLevel, event: string, { code, identity }: LogFields): boolean {
    if (!isThrottled(level)) return true;
    const throttle = level === 'info' ? this.#infos : this.#warnings;
    if (!throttle || throttle.admits(event, code, identity, performance.now())) return true;
    this.suppressed[level] += 1;
    this.#timer ??= setTimeout(this.#report, SUPPRESSION_REPORT_MS).unref();
    return false;
  }

  readonly #report = (): void => {
    this.#timer = undefined;
    for (const throttle of [this.#warnings, this.#infos])
      for (const [of, lines] of throttle?.takeSuppressed() ?? []) this.#sink.warn(arrange('lines_suppressed', { of, lines }));
  };
}

const isThrottled = (level: LogLevel): level is ThrottledLevel => (THROTTLED_LEVELS as readonly LogLevel[]).includes(level);

const wrap = (sink: Sink, destination: LogDestination, throttled: Throttled, context: LogFields): Logger => {
  const at =
    (level: Exclude<LogLevel, 'silent'>): LogMethod =>
    (event, fields) => {
      if (!sink.isLevelEnabled(level)) return;
      const all = { ...context, ...fields };
      if (throttled.admits(level, event, all)) sink[level](arrange(event, all));
    };
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    suppressed: throttled.suppressed,
    get lost() {
      return destination.lost ?? 0;
    },
    child: (fields) => wrap(sink, destination, throttled, { ...context, ...fields }),
    isLevelEnabled: (level) => level !== 'silent' && sink.isLevelEnabled(level),
  };
};

/** Keys the line owns; a caller's field of that name gets a trailing underscore, or it would appear twice. */
const OWN_KEYS = new Set(['time', 'level', 'name', 'event', 'msg']);

const arrange = (event: string, fields: LogFields): Record<string, unknown> => {
  const { code, identity, ...rest } = redact(fields) as Record<string, unknown>;
  const line: Record<string, unknown> = { code, event, identity };
  for (const [key, value] of Object.entries(rest)) line[OWN_KEYS.has(key) ? `${key}_` : key] = value;
  return line;
};
