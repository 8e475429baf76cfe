// A connection handler that records what it is told and lets a test wait for it, without sleeping.

import type { ConnectionEnd, ConnectionHandler, EndpointConnection, QuicStream, SocketAddress } from '@ztna/protocol';

export class Recorder implements ConnectionHandler {
  /** The names of the calls, in order, without `delivered`. */
  readonly calls: string[] = [];
  readonly datagrams: Buffer[] = [];
  readonly streams: QuicStream[] = [];
  connection: EndpointConnection | undefined;
  end: ConnectionEnd | undefined;
  /** What a test wants done on top of recording. */
  readonly also: Partial<ConnectionHandler>;
  #waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];

  constructor(also: Partial<ConnectionHandler> = {}) {
    this.also = also;
  }

  onStart(connection: EndpointConnection): void {
    this.connection = connection;
    this.calls.push('start');
    this.also.onStart?.(connection);
  }

  onEstablished(connection: EndpointConnection): void {
    this.calls.push('established');
    this.also.onEstablished?.(connection);
    this.poke();
  }

  onDatagram(connection: EndpointConnection, payload: Buffer, length: number): void {
    this.calls.push('datagram');
    this.datagrams.push(Buffer.from(payload.subarray(0, length)));
    this.also.onDatagram?.(connection, payload, length);
  }

  onStream(connection: EndpointConnection, stream: QuicStream): void {
    this.calls.push('stream');
    this.streams.push(stream);
    this.also.onStream?.(connection, stream);
  }

  onDelivered(connection: EndpointConnection): void {
    this.also.onDelivered?.(connection);
    this.poke();
  }

  acceptsPath(connection: EndpointConnection, host: string): boolean {
    return this.also.acceptsPath?.(connection, host) ?? true;
  }

  onFlushed(connection: EndpointConnection): void {
    this.also.onFlushed?.(connection);
  }

  onMigrated(connection: EndpointConnection, before: SocketAddress): void {
    this.calls.push('migrated');
    this.also.onMigrated?.(connection, before);
  }

  onEnd(connection: EndpointConnection, end: ConnectionEnd): void {
    this.calls.push('end');
    this.end = end;
    this.poke();
    this.also.onEnd?.(connection, end);
  }

  forgetDatagrams(): void {
    this.datagrams.length = 0;
    const others = this.calls.filter((call) => call !== 'datagram');
    this.calls.splice(0, this.calls.length, ...others);
  }

  count(call: string): number {
    return this.calls.filter((name) => name === call).length;
  }

  /** Resolves once `holds`, looked at after every call. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ holds, resolve }));
  }

  established(): Promise<void> {
    return this.until(() => this.calls.includes('established'));
  }

  async ended(): Promise<ConnectionEnd> {
    await this.until(() => this.end !== undefined);
    return this.end!;
  }

  /** For a test that changes what a predicate looks at from elsewhere. */
  poke(): void {
    const due = this.#waiting.filter(({ holds }) => holds());
    this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting));
    for (const { resolve } of due) resolve();
  }
}

/** Collects a stream's bytes; what arrives is in `bytes`, its end in `isFinished` or `resetCode`. */
export class StreamCollector {
  readonly chunks: Buffer[] = [];
  length = 0;
  resetCode: string | undefined;
  resets = 0;
  isFinished = false;
  readonly #onChange: () => void;

  constructor(stream: QuicStream, onChange: () => void = () => undefined) {
    this.#onChange = onChange;
    stream.handler = {
      onReadable: () => this.#read(stream),
      onWritable: () => this.#onChange(),
      onReset: (code) => {
        this.resetCode = code;
        this.resets++;
        this.#onChange();
      },
    };
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  #read(stream: QuicStream): void {
    const chunk = Buffer.allocUnsafe(16_384);
    for (let count; (count = stream.read(chunk)) > 0; ) {
      this.chunks.push(Buffer.from(chunk.subarray(0, count)));
      this.length += count;
    }
    this.isFinished = stream.readFinished;
    this.#onChange();
  }
}
