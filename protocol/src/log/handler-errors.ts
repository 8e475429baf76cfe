// A connection's handler threw: a fault of ours, told to the log as `internal_error`. The connection has ended
// with that code already; who caused it is in no line, since a peer may have chosen what is in the error.

import type { Logger } from './logger.js';

/** For `EndpointInit.onHandlerError`. As many lines as log-throttle.ts lets through; the stack at debug level. */
export const reportHandlerErrors =
  (log: Logger): ((error: unknown) => void) =>
  (error) => {
    const reason = error instanceof Error ? error.message : String(error);
    log.error('internal_error', { code: 'internal_error', reason });
    if (error instanceof Error) log.debug('internal_error_stack', { stack: error.stack ?? 'none' });
  };
