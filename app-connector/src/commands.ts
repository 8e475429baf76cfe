// app-connector: reads arguments, loads the configuration, serves until it is told to stop.

import { allocatorInUse, createLogger, ExpiryWarnings, formatIdentity, HEALTH_DESCRIPTION, LIVE_OPTION, LiveReload, probeUdp, programOutput, reportStatusOnSignal, runHealth, runProgram, servicesOutsideKey, stopSignal, VERSION, type HealthOptions } from '@ztna/protocol';
import { Command } from 'commander';
import { connectorSchema } from './connector-config.js';
import { openConnectorHealth } from './connector-health.js';
import { loadConnectorSettings, needsRestart } from './connector-settings.js';
import { Connector } from './connector.js';

const NAME = 'app-connector';

const run = async (options: { config: string }): Promise<void> => {
  const settings = loadConnectorSettings(options.config);
  const { config, services } = settings;
  const log = createLogger({ name: NAME, ...config.log });
  const udp = await probeUdp(settings.udp);
  const connector = new Connector({ ...settings, log });
  for (const service of servicesOutsideKey(settings, Object.keys(config.services))) log.warn('registration_key_scope', { service });
  log.info('starting', { identity: formatIdentity(settings.tls.identity), services: Object.keys(config.services), ...udp, allocator: allocatorInUse() });
  reportStatusOnSignal(log, () => connector.status());
  const health = await openConnectorHealth({ name: NAME, section: config.health, tls: settings.tls, services, connector, log }).catch(async (error: unknown) => {
    await connector.stop();
    throw error;
  });
  const expiry = new ExpiryWarnings(settings.tls, log);
  const reload = new LiveReload({
    load: () => loadConnectorSettings(options.config),
    settings,
    needsRestart,
    apply: (changed) => {
      health?.apply(changed.config.health, changed.tls, changed.services);
      expiry.apply(changed.tls);
      return connector.apply(changed, changed.services);
    },
    log,
  });
  expiry.start();
  connector.start();
  await reload.start();
  const signal = await stopSignal();
  reload.stop();
  expiry.stop();
  health?.drain();
  log.info('stopping', { signal });
  await connector.stop();
  await health?.stop();
  log.info('stopped');
};

const check = (options: { config: string }): void => {
  const settings = loadConnectorSettings(options.config);
  const { config, tls } = settings;
  process.stdout.write(
    `${options.config}: valid; ${formatIdentity(tls.identity)} serves ${Object.keys(config.services).join(', ')}, certificate until ${tls.notAfter.toISOString()}\n`,
  );
  for (const service of servicesOutsideKey(settings, Object.keys(config.services))) {
    process.stdout.write(`${options.config}: warning: ${config.registration.key} was not made for the service ${service}: the relay refuses the registration unless its keyring was changed since\n`);
  }
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
