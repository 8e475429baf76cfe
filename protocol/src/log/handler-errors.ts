// A connection's handler threw: a fault of ours, told to the log as `internal_error`. The connection has ended
// with that code already; who caused it is in no line, since a peer may have chosen what is in the error.

import { performance } from 'node:perf_hooks';
import { EventQuota } from './event-quota.js';
import type { Logger } from './logger.js';

/** For `EndpointInit.onHandlerError`. At most one line in 10 s, with the number it stands for; the stack at debug level. */
export const reportHandlerErrors = (log: Logger, clock: () => number = () => performance.now()): ((error: unknown) => void) => {
  const quota = new EventQuota();
  return (error) => {
    const count = quota.take(clock());
    if (count === undefined) return;
    const reason = error instanceof Error ? error.message : String(error);
    log.error('internal_error', { code: 'internal_error', reason, count });
    if (error instanceof Error) log.debug('internal_error_stack', { stack: error.stack ?? 'none' });
  };
};
