#!/usr/bin/env node
// intermediate-server: reads arguments, loads the configuration, starts the relay, drains on SIGTERM.

import { createLogger, describeUdp, formatAddress, formatIdentity, HEALTH_DESCRIPTION, LIVE_OPTION, openDatagramSocket, programOutput, reportStatusOnSignal, runHealth, runProgram, stopSignal, type HealthOptions, VERSION } from '@ztna/protocol';
import { Command } from 'commander';
import { openJournal } from './client-journal.js';
import { LiveReload } from './live-reload.js';
import { loadRelaySettings, relaySchema } from './relay-config.js';
import { openRelayHealth } from './relay-health.js';
import { RelayServer } from './relay-server.js';

const NAME = 'intermediate-server';

const run = async ({ config }: { config: string }): Promise<void> => {
  const settings = loadRelaySettings(config);
  const log = createLogger({ name: NAME, ...settings.log });
  const socket = await openDatagramSocket(settings.listen, { mode: settings.udp });
  // Only now: whoever has the address is the only one to use the journal.
  const { journal, left } = await openJournal(settings.journalPath, log);
  const server = new RelayServer({ ...settings, log, socket, journal });
  log.info('listening', { identity: formatIdentity(settings.tls.identity), address: formatAddress(server.local), ...describeUdp(socket) });
  reportStatusOnSignal(log, () => server.status());
  server.promptReturn(left);
  const reload: LiveReload = new LiveReload(config, settings, (changed, changedAt) => {
    health?.apply({ settings: changed.health, tls: changed.tls });
    return server.apply(changed, changedAt);
  }, log);
  const health = await openRelayHealth({ name: NAME, settings, server, reload, log }).catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  await reload.start();
  const signal = await stopSignal();
  reload.stop();
  health?.drain();
  log.info('stopping', { signal });
  // A second signal does not wait for sessions to finish.
  await Promise.race([server.drain(settings.drainTimeoutMs), stopSignal()]);
  await server.close();
  await health?.stop();
  log.info('stopped', { datagrams: server.machine.counters.totals(), packetDrops: server.packetDrops });
};

const check = ({ config }: { config: string }): void => {
  const { tls, listen } = loadRelaySettings(config);
  process.stdout.write(`${config}: valid; ${formatIdentity(tls.identity)} on UDP ${formatAddress(listen)}, certificate until ${tls.notAfter.toISOString()}\n`);
};

const program = new Command(NAME)
  .description('the ztna relay: authenticates agents and connectors, decides who may reach what, forwards what it cannot read')
  .version(VERSION)
  .configureOutput(programOutput(NAME))
  .exitOverride();
program.command('run').description('run the relay until SIGTERM or SIGINT').requiredOption('-c, --config <file>', 'relay.yaml').action(run);
program.command('check').description('check the configuration and every file it names').requiredOption('-c, --config <file>', 'relay.yaml').action(check);
program.command('health').description(HEALTH_DESCRIPTION).requiredOption('-c, --config <file>', 'relay.yaml').option(...LIVE_OPTION)
  .action((options: HealthOptions) => runHealth(options, relaySchema));

await runProgram(NAME, () => program.parseAsync());
