// intermediate-server: reads arguments, loads the configuration, starts the relay or its workers, drains on SIGTERM.

import { createLogger, formatAddress, formatIdentity, HEALTH_DESCRIPTION, ignoreHangups, LIVE_OPTION, openDatagramSocket, programOutput, runHealth, runProgram, stopSignal, type HealthOptions, type Logger, VERSION } from '@ztna/protocol';
import { Command } from 'commander';
import { foreignFile } from './journal-file.js';
import { loadRelaySettings, relaySchema, type RelaySettings } from './relay-config.js';
import { describeUnknown, unknownNames } from './policy-names.js';
import { openRelayHealth } from './relay-health.js';
import { relayMetrics } from './relay-metrics.js';
import { checkWorkers, runWorkers } from './relay-parent.js';
import { openRelayProcess } from './relay-process.js';

const NAME = 'intermediate-server';

const run = async ({ config }: { config: string }): Promise<void> => {
  const settings = loadRelaySettings(config);
  const log = createLogger({ name: NAME, ...settings.log });
  if (settings.workers > 1) await runWorkers({ name: NAME, config, settings, log });
  else await runAlone(config, settings, log);
};

const runAlone = async (config: string, settings: RelaySettings, log: Logger): Promise<void> => {
  // Before anybody can know that it runs.
  ignoreHangups();
  const stopped = stopSignal();
  const socket = await openDatagramSocket(settings.listen, { mode: settings.udp });
  const onReload = ({ health: changed, tls }: RelaySettings): void => health?.apply({ settings: changed, tls });
  const { server, journal, reload, drain } = await openRelayProcess({ config, settings, socket, log, onReload });
  const health = await openRelayHealth({ name: NAME, settings, families: relayMetrics({ server, journal, reload }), authorities: () => server.authorities, log }).catch(
    async (error: unknown) => {
      await server.close();
      throw error;
    },
  );
  await reload.start();
  const signal = await stopped;
  health?.drain();
  log.info('stopping', { signal });
  // A second signal does not wait for sessions to finish.
  await drain(stopSignal());
  await health?.stop();
};

const check = async ({ config }: { config: string }): Promise<void> => {
  const { tls, listen, workers, policy, keyring, journalPath } = loadRelaySettings(config);
  const journal = journalPath === undefined ? undefined : foreignFile(journalPath);
  const warnings = [...[await checkWorkers(workers), journal].flatMap((warning) => warning ?? []), ...unknownNames(policy, keyring).map(describeUnknown)];
  const where = `UDP ${formatAddress(listen)}${workers > 1 ? ` with ${workers} workers` : ''}`;
  process.stdout.write(`${config}: valid; ${formatIdentity(tls.identity)} on ${where}, certificate until ${tls.notAfter.toISOString()}\n`);
  for (const warning of warnings) process.stdout.write(`${config}: warning: ${warning}\n`);
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
