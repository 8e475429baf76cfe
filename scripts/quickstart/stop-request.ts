// When to stop: Ctrl-C, a signal, the terminal or the pipe behind standard output going away.

export interface StopRequest {
  /** Resolves on the first reason to stop, with what to say about it. */
  readonly requested: Promise<string>;
  /** Stops watching. */
  dispose(): void;
}

/** npm passes on the SIGINT that the terminal has already sent to everyone: one Ctrl-C, two signals. */
const ONE_KEYPRESS_MS = 400;
const SIGNALS: Readonly<Record<string, string>> = { SIGINT: 'Ctrl-C', SIGTERM: 'SIGTERM', SIGHUP: 'the terminal was closed' };

/** @param onImpatient called when somebody asks again */
export const watchStopRequests = (onImpatient: () => void): StopRequest => {
  let firstAt: number | undefined;
  let resolveRequested!: (reason: string) => void;
  const requested = new Promise<string>((resolve) => (resolveRequested = resolve));
  const request = (reason: string): void => {
    firstAt ??= performance.now();
    resolveRequested(reason);
  };
  const handlers = Object.entries(SIGNALS).map(([signal, reason]) => {
    const handler = (): void => {
      if (firstAt !== undefined && performance.now() - firstAt > ONE_KEYPRESS_MS) onImpatient();
      else request(reason);
    };
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  // EPIPE, or EIO from a terminal that is gone. Kept to the end: later lines fail too, and must not crash us.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => request('standard output was closed'));
  return {
    requested,
    dispose: () => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
};
