// `ztna-agent connect SERVICE`: one TCP flow on standard input and output, as ssh's ProxyCommand wants it.

import { failureMeaning, RunFailure, splice, type FailureCode } from '@ztna/protocol';
import type { Agent } from './agent.js';
import { refusalAdvice } from './refusal-advice.js';

/**
 * Resolves when both directions have ended in good order and the connector has acknowledged all of it.
 *
 * @throws RunFailure with the failure code when the flow is refused or cut off
 */
export const connectStdio = (agent: Agent, service: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const fail = (code: FailureCode, reason: string): void => {
      const meaning = failureMeaning(code);
      const advice = refusalAdvice(code);
      reject(new RunFailure(code, `${service}: ${meaning}${reason === meaning ? '' : ` (${reason})`}${advice === undefined ? '' : `; ${advice}`}`));
    };
    agent.openFlow(service, 'tcp', {
      onRefused: fail,
      onOpen: (stream, gate, _record, connection) =>
        splice({
          stream,
          gate,
          local: { readable: process.stdin, writable: process.stdout, abort: () => process.stdin.destroy() },
          onDone: ({ code }) => {
            if (code) return fail(code, failureMeaning(code));
            // The last bytes may be lost on the way, and nobody sends them again once this process is gone.
            void connection.whenAcknowledged(stream).then((acknowledged) => (acknowledged ? resolve() : fail('connection_lost', failureMeaning('connection_lost'))));
          },
        }),
    });
  });
