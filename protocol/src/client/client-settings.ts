// The part of a client's configuration that agent and connector share, loaded and checked.

import { loadDocument } from '../config/load-document.js';
import type { RelaysSection, TlsSection } from '../config/sections.js';
import { loadTlsMaterial, type TlsMaterial } from '../config/tls-material.js';
import type { UdpMode } from '../udp/open-socket.js';
import { parseRegistrationKey, type RegistrationKey } from '../token/registration-key.js';
import type { RelayAddress } from './relay-address.js';

export interface ClientSettings {
  readonly tls: TlsMaterial;
  readonly registrationKey: RegistrationKey;
  readonly relays: readonly RelayAddress[];
  readonly udp: UdpMode;
}

export interface ClientSections {
  readonly tls: TlsSection;
  readonly relays: RelaysSection;
  readonly registration: { readonly key: string };
  readonly udp: UdpMode;
}

/** @throws ZtnaError that names the file, the key and what to do */
export const loadClientSettings = (role: 'agent' | 'connector', sections: ClientSections): ClientSettings => ({
  tls: loadTlsMaterial(sections.tls, { role }),
  registrationKey: loadDocument(sections.registration.key, parseRegistrationKey, { secret: true }).key,
  relays: sections.relays.map(({ name, address }) => ({ name, host: address.host, port: address.port })),
  udp: sections.udp,
});
