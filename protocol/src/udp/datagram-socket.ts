// The one interface between QUIC and whatever carries its packets: a UDP socket, or a relay
// session dressed up as one (carrier/). Addresses are opaque to QUIC; only `host` must be an IP literal.

/** An IP literal and a port, in the form the QUIC binding prints them. */
export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

export interface DatagramReceiver {
  /** One packet. `packet` is only valid during the call and may be overwritten by the callee. */
  onPacket(packet: Buffer, host: string, port: number): void;
  /** No more packets are waiting right now: deliver, answer and flush. */
  onBatchEnd(): void;
}

export interface DatagramSocket {
  readonly local: SocketAddress;
  /** Starts delivery; called once. */
  start(receiver: DatagramReceiver): void;
  /**
   * Sends the packets that lie back to back in `run`: all `segment` bytes (1 or more) long but the last,
   * which may be shorter. The bytes are the caller's again when the call returns. Never throws;
   * what the network will not take is counted in `sendErrors` and lost, as UDP does.
   */
  sendRun(run: Buffer, length: number, segment: number, host: string, port: number): void;
  readonly sendErrors: number;
  close(): Promise<void>;
}

/** How a UDP socket reaches the kernel. */
export type UdpKind = 'batched' | 'plain';

/** A socket of the operating system's, with what people want to know of it. */
export interface UdpSocket extends DatagramSocket {
  readonly kind: UdpKind;
  /** Why it is not batched, where that was possible to ask for. */
  readonly reason: string | undefined;
  /** One line for people when the kernel's buffers are smaller than asked for. */
  readonly bufferHint: string | undefined;
}

export const isSameAddress = (a: SocketAddress, b: SocketAddress): boolean => a.port === b.port && a.host === b.host;

export const formatAddress = (address: SocketAddress): string =>
  address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
