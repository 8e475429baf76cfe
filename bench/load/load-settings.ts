// What a load client is told, apart from the program so that importing it starts nothing.

import type { UdpMode } from '@ztna/protocol';

export interface LoadClientSettings {
  readonly role: 'agent' | 'connector';
  /** Of the overlay's files. */
  readonly directory: string;
  readonly name: string;
  readonly relay: { readonly host: string; readonly port: number };
  readonly udp: UdpMode;
  readonly packetBytes: number;
}

export const LOAD_SERVICE = 'load';
