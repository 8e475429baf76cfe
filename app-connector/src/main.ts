#!/usr/bin/env node
// app-connector: reads arguments, loads the configuration, serves until it is told to stop.

import { createLogger, formatIdentity, HEALTH_DESCRIPTION, LIVE_OPTION, loadClientSettings, loadConfig, probeUdp, programOutput, reportStatusOnSignal, runHealth, runProgram, stopSignal, VERSION, ZtnaError, type ClientSettings, type HealthOptions } from '@ztna/protocol';
import { Command } from 'commander';
import { connectorSchema, servedServices, type ConnectorConfig } from './connector-config.js';
import { openConnectorHealth } from './connector-health.js';
import { Connector } from './connector.js';

const NAME = 'app-connector';

const load = (path: string): { config: ConnectorConfig; settings: ClientSettings } => {
  const { config } = loadConfig(path, connectorSchema);
  const settings = loadClientSettings('connector', config);
  const missing = Object.keys(config.services).filter((service) => !settings.tls.services.includes(service));
  if (missing.length > 0)
    throw new ZtnaError(
      'certificate_unusable',
      `${config.tls.certificate} gives no right to serve ${missing.join(', ')}: issue it again with ${missing.map((name) => `--service ${name}`).join(' ')}`,
    );
  return { config, settings };
};

const run = async (options: { config: string }): Promise<void> => {
  const { config, settings } = load(options.config);
  const log = createLogger({ name: NAME, ...config.log });
  const udp = await probeUdp(settings.udp);
  const services = servedServices(config);
  const connector = new Connector({ ...settings, services, log });
  log.info('starting', { identity: formatIdentity(settings.tls.identity), services: Object.keys(config.services), ...udp });
  reportStatusOnSignal(log, () => connector.status());
  const health = await openConnectorHealth({ name: NAME, section: config.health, tls: settings.tls, services, connector, log }).catch(async (error: unknown) => {
    await connector.stop();
    throw error;
  });
  connector.start();
  const signal = await stopSignal();
  health?.drain();
  log.info('stopping', { signal });
  await connector.stop();
  await health?.stop();
  log.info('stopped');
};

const check = (options: { config: string }): void => {
  const { config, settings } = load(options.config);
  process.stdout.write(
    `${options.config}: valid; ${formatIdentity(settings.tls.identity)} serves ${Object.keys(config.services).join(', ')}, certificate until ${settings.tls.notAfter.toISOString()}\n`,
  );
};

const program = new Command(NAME)
  .description('dials out to a ztna relay and hands flows to the backends its configuration names')
  .version(VERSION)
  .configureOutput(programOutput(NAME))
  .exitOverride();
program.command('run').description('serve until SIGTERM or SIGINT').requiredOption('-c, --config <file>', 'connector.yaml').action(run);
program.command('check').description('check the configuration and every file it names').requiredOption('-c, --config <file>', 'connector.yaml').action(check);
program.command('health').description(HEALTH_DESCRIPTION).requiredOption('-c, --config <file>', 'connector.yaml').option(...LIVE_OPTION)
  .action((options: HealthOptions) => runHealth(options, connectorSchema));

await runProgram(NAME, () => program.parseAsync());
