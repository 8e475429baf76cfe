// The part of a client's configuration that agent and connector share, loaded and checked.

import { loadDocument } from '../config/load-document.js';
import type { RelaysSection, TlsSection } from '../config/sections.js';
import { loadTlsMaterial, type TlsMaterial } from '../config/tls-material.js';
import { ZtnaError } from '../errors.js';
import { outsideScope } from '../token/keyring.js';
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
export const loadClientSettings = (role: 'agent' | 'connector', sections: ClientSections): ClientSettings => {
  const tls = loadTlsMaterial(sections.tls, { role });
  const registrationKey = loadDocument(sections.registration.key, parseRegistrationKey, { secret: true }).key;
  const outside = registrationKey.scope && outsideScope(registrationKey.scope, tls.identity, []);
  if (outside) {
    const problem = `was made for another ${outside.field} than the certificate's, ${outside.value}`;
    throw new ZtnaError('config_invalid', `${sections.registration.key} ${problem}: name this process's own key under registration, or make one with: ztna-certs keygen`);
  }
  return toSettings(sections, tls, registrationKey);
};

/** Services that the registration key was not made for; the relay's keyring may since have been given them. */
export const servicesOutsideKey = ({ tls, registrationKey }: Pick<ClientSettings, 'tls' | 'registrationKey'>, services: Iterable<string>): string[] =>
  [...services].filter((service) => registrationKey.scope !== undefined && outsideScope(registrationKey.scope, tls.identity, [service]) !== undefined);

const toSettings = (sections: ClientSections, tls: TlsMaterial, registrationKey: RegistrationKey): ClientSettings => ({
  tls,
  registrationKey,
  relays: sections.relays.map(({ name, address }) => ({ name, host: address.host, port: address.port })),
  udp: sections.udp,
});
