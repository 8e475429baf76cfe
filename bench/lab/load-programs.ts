// The load programs of bench/load, started at a site and ready.

import { fileURLToPath } from 'node:url';
import type { EmulatorInit } from '../load/emulator.js';
import type { LoadClientSettings } from '../load/load-settings.js';
import type { UdpLoadSettings } from '../load/udp-load.js';
import type { Site } from './network.js';
import { Program } from './program.js';
import type { Teardown } from './teardown.js';

export const startLoadProgram = async (site: Site, teardown: Teardown, script: string, settings: object, timeoutMs?: number): Promise<Program> => {
  const path = fileURLToPath(new URL(`../load/${script}.js`, import.meta.url));
  const program = teardown.keep(() => Program.node(site, path, [JSON.stringify(settings)]));
  await program.until(() => program.state.ready === true || program.state.event === 'crowd_ready', 'ready', timeoutMs);
  return program;
};

export const startLoadClient = (site: Site, teardown: Teardown, settings: LoadClientSettings): Promise<Program> => startLoadProgram(site, teardown, 'load-client', settings);
export const startUdpLoad = (site: Site, teardown: Teardown, settings: UdpLoadSettings): Promise<Program> => startLoadProgram(site, teardown, 'udp-load', settings);
export const startEmulator = (site: Site, teardown: Teardown, settings: EmulatorInit): Promise<Program> => startLoadProgram(site, teardown, 'emulator-program', settings);
