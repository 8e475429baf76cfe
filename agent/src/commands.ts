// ztna-agent: reads arguments, loads the configuration, and gives local programs their way in.

import { homedir } from 'node:os';
import { join } from 'node:path';
import { allocatorInUse, createLogger, ExpiryWarnings, formatAddress, formatIdentity, HEALTH_DESCRIPTION, isName, LIVE_OPTION, LiveReload, loadHealthSettings, NAME_RULE, probeUdp, programOutput, reportStatusOnSignal, runHealth, runProgram, stopSignal, VERSION, ZtnaError, type HealthOptions, type LogLevel } from '@ztna/protocol';
import { Command, Option } from 'commander';
import { agentSchema } from './agent-config.js';
import { describeExposed, exposedListeners, loadAgentSettings, needsRestart } from './agent-settings.js';
import { Agent } from './agent.js';
import { openAgentHealth } from './agent-health.js';
import { connectStdio } from './connect-command.js';
import { openTcpListener, type Listener } from './tcp-listener.js';
import { openUdpListener } from './udp-listener.js';

const NAME = 'ztna-agent';
const DEFAULT_CONFIG = join(homedir(), '.config', 'ztna', 'agent.yaml');

const up = async (options: { config: string }): Promise<void> => {
  const settings = loadAgentSettings(options.config);
  const { config } = settings;
  const log = createLogger({ name: NAME, ...config.log });
  const udp = await probeUdp(settings.udp);
  const agent = new Agent({ ...settings, services: config.listeners.map(({ service }) => service), log, failFast: false });
  log.info('starting', { identity: formatIdentity(settings.tls.identity), ...udp, allocator: allocatorInUse() });
  for (const exposed of exposedListeners(config)) log.warn('listener_exposed', { ...exposed });
  const listeners: Listener[] = [];
  const expiry = new ExpiryWarnings(settings.tls, log);
  const reload = new LiveReload({
    load: () => loadAgentSettings(options.config),
    settings,
    needsRestart,
    apply: (changed) => {
      const { health: section } = changed.config;
      health?.apply({ settings: section && loadHealthSettings(section), tls: changed.tls });
      expiry.apply(changed.tls);
      return agent.apply(changed);
    },
    log,
  });
  let health: Awaited<ReturnType<typeof openAgentHealth>>;
  try {
    health = await openAgentHealth({ name: NAME, section: config.health, tls: settings.tls, agent, listening: () => listeners.length === config.listeners.length, log });
    for (const { service, protocol, listen } of config.listeners) {
      const open = protocol === 'tcp' ? openTcpListener : openUdpListener;
      const listener = await open({ agent, service, listen, log });
      listeners.push(listener);
      log.info('listening', { service, protocol, address: formatAddress(listener.local) });
    }
    reportStatusOnSignal(log, () => agent.status());
    expiry.start();
    agent.start();
    await reload.start();
    const signal = await stopSignal();
    health?.drain();
    log.info('stopping', { signal });
  } finally {
    reload.stop();
    expiry.stop();
    await Promise.all(listeners.map((listener) => listener.close()));
    await agent.stop();
    await health?.stop();
  }
  log.info('stopped');
};

const connect = async (service: string, options: { config: string; logLevel: LogLevel }): Promise<void> => {
  if (!isName(service)) throw new ZtnaError('usage', `${JSON.stringify(service)} is no name of a service: ${NAME_RULE}`);
  const settings = loadAgentSettings(options.config);
  const agent = new Agent({ ...settings, log: createLogger({ name: NAME, level: options.logLevel, format: 'pretty' }), failFast: true });
  agent.start();
  try {
    // SIGHUP is how ssh ends its ProxyCommand; dying of it would leave the backend's side open until it idles out.
    await Promise.race([connectStdio(agent, service), stopSignal('SIGHUP')]);
  } finally {
    await agent.stop();
    // Standard input would hold the process open for as long as its other end does.
    process.stdin.destroy();
  }
};

const check = (options: { config: string }): void => {
  const { config, tls } = loadAgentSettings(options.config);
  process.stdout.write(`${options.config}: valid; ${formatIdentity(tls.identity)}, certificate until ${tls.notAfter.toISOString()}\n`);
  for (const exposed of exposedListeners(config)) process.stdout.write(`${options.config}: warning: ${describeExposed(exposed)}\n`);
};

const configOption = (): Option => new Option('-c, --config <file>', 'agent.yaml').env('ZTNA_AGENT_CONFIG').default(DEFAULT_CONFIG);

const program = new Command(NAME).description('gives local programs a way to private services').version(VERSION).configureOutput(programOutput(NAME))
  .exitOverride();
program.command('up').description('open the configured listeners until SIGTERM or SIGINT').addOption(configOption()).action(up);
program
  .command('connect')
  .argument('<service>', 'the service to reach')
  .description('join standard input and output to a TCP service, as for ssh -o ProxyCommand')
  .addOption(configOption())
  .addOption(new Option('--log-level <level>', 'log to standard error').choices(['debug', 'info', 'warn', 'silent']).default('silent'))
  .action(connect);
program.command('check').description('check the configuration and every file it names').addOption(configOption()).action(check);
program.command('health').description(HEALTH_DESCRIPTION).addOption(configOption()).option(...LIVE_OPTION)
  .action((options: HealthOptions) => runHealth(options, agentSchema));

await runProgram(NAME, () => program.parseAsync());
