// The turns of an endpoint: which connections have something to deliver, which have something to send, and when each is due by
// itself. Owns the order and the clock; packets come from endpoint.ts, what a connection does is endpoint-connection.ts's.
//
//   touched (packets came) ─► deliver ─► dirty (something to send) ─► flush, notice its end, file its deadline
//   due (the wheel)        ─► handleTimer, deliver ─► dirty

import { performance } from 'node:perf_hooks';
import { ACK_DELAY_MS } from './ack-debt.js';
import type { EndpointConnection } from './endpoint-connection.js';
import { scheduleLateTurn, type LateTurn } from './late-turns.js';
import { TimerWheel } from './timer-wheel.js';
import { WheelTimer } from './wheel-timer.js';

/** What turns need of their endpoint. */
export interface TurnsHost {
  flush(connection: EndpointConnection): void;
  isInTable(connection: EndpointConnection): boolean;
  /** QUIC is done with the connection. */
  remove(connection: EndpointConnection): void;
  noticeHandlerError(error: unknown): void;
}

export class EndpointTurns {
  /** When the turn under way began, ms. */
  at = performance.now();
  readonly #host: TurnsHost;
  readonly #wheel = new TimerWheel<EndpointConnection>(this.at);
  readonly #timer = new WheelTimer(this.#wheel, () => this.#advanceTimers());
  #touched: EndpointConnection[] = [];
  #dirty: EndpointConnection[] = [];
  #isRunning = false;
  #isLateTurnDue = false;
  #isStopped = false;

  constructor(host: TurnsHost) {
    this.#host = host;
  }

  /** Packets came: it delivers with the next `run`. */
  touch(connection: EndpointConnection): void {
    if (connection.isTouched) return;
    connection.isTouched = true;
    connection.hasHeard = true;
    this.#touched.push(connection);
  }

  /** It may have something to send: in the turn under way, or in one of its own. */
  markDirty(connection: EndpointConnection): void {
    if (connection.isDirty) return;
    connection.isDirty = true;
    this.#dirty.push(connection);
    if (!this.#isRunning && !this.#isLateTurnDue) {
      this.#isLateTurnDue = true;
      scheduleLateTurn(this.#lateTurn);
    }
  }

  /** At the end of a batch of packets. */
  run(): void {
    this.#flushAll();
    if (!this.#isRunning) this.#timer.arm();
  }

  /** Before the batch is read; what it leads to is flushed at the batch's end all the same. */
  deliverEarly(connection: EndpointConnection): void {
    const wasRunning = this.#isRunning;
    this.#isRunning = true;
    this.at = performance.now();
    this.#deliver(connection);
    this.#isRunning = wasRunning;
  }

  /** The connection is over: nothing is due of it. */
  forget(connection: EndpointConnection): void {
    this.#wheel.schedule(connection, Infinity);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer.stop();
  }

  readonly #lateTurn: LateTurn = {
    flush: () => {
      this.#isLateTurnDue = false;
      this.#flushAll();
    },
    settle: () => this.#timer.arm(),
  };

  #flushAll(): void {
    if (this.#isStopped || this.#isRunning) return;
    this.#isRunning = true;
    this.at = performance.now();
    const touched = this.#touched;
    this.#touched = [];
    for (const connection of touched) {
      connection.isTouched = false;
      this.#deliver(connection);
      if (!connection.isDirty && connection.mayPutOffFlush()) this.#wheel.schedule(connection, Math.min(connection.due, this.at + ACK_DELAY_MS));
      else {
        connection.replaceRetiredIds();
        this.markDirty(connection);
      }
    }
    // Handlers of one connection may dirty another; a flush may end a connection. Both append here.
    for (let i = 0; i < this.#dirty.length; i++) this.#settle(this.#dirty[i]!);
    this.#dirty = [];
    this.#isRunning = false;
  }

  /** Handlers may throw: that is their connection's end and nobody else's. */
  #deliver(connection: EndpointConnection): void {
    try {
      connection.deliver();
    } catch (error) {
      this.#host.noticeHandlerError(error);
      connection.abandon('internal_error');
    }
  }

  #flush(connection: EndpointConnection): void {
    this.#host.flush(connection);
    try {
      connection.noticeFlushed();
    } catch (error) {
      this.#host.noticeHandlerError(error);
      connection.abandon('internal_error');
    }
  }

  /** Flushes a connection, notices its end, files its deadline, forgets it when QUIC is done with it. */
  #settle(connection: EndpointConnection): void {
    connection.isDirty = false;
    if (!this.#host.isInTable(connection)) return;
    const { quic } = connection;
    this.#flush(connection);
    if (connection.applyPendingClose()) this.#host.flush(connection);
    connection.checkEnd();
    if (connection.hasEnded && quic.isClosed()) return this.#host.remove(connection);
    // The binding truncates to whole milliseconds: one more, or the timer would come early and spin.
    this.#wheel.schedule(connection, Math.min(performance.now() + quic.timeoutMs() + 1, connection.handshakeDue));
  }

  #advanceTimers(): void {
    this.#isRunning = true;
    const now = performance.now();
    this.at = now;
    this.#wheel.advance(now, (connection) => {
      connection.handleTimer();
      this.#deliver(connection);
      connection.replaceRetiredIds();
      connection.checkEnd();
      if (connection.handshakeDue <= now) connection.abandon('handshake_timeout');
      this.markDirty(connection);
    });
    this.#isRunning = false;
    this.run();
  }
}
