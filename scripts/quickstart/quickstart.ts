// The quickstart itself, once everything is compiled: files, processes, one request, then until Ctrl-C. Owns the
// order; each step is a file of its own. However it ends, its processes and files end with it.

import { join } from 'node:path';
import { agentConfig, connectorConfig, policyConfig, privateAppConfig, relayConfig } from './configs.js';
import { QuickstartFailure } from './failure.js';
import { guide, stepLine } from './guide.js';
import { POLICY_FILE, PROCESS_FILES, SERVICE, type ProcessRole } from './names.js';
import { assertPortsFree } from './ports.js';
import { requestThrough, type ProbeResult } from './probe.js';
import { ProcessGroup } from './process-group.js';
import { watchStopRequests } from './stop-request.js';
import { openWorkspace, type Workspace } from './workspace.js';

export interface QuickstartOptions {
  /** The repository. */
  readonly root: string;
  /** Stop after one request. */
  readonly once: boolean;
  /** 0: any free one; the relay's likewise. */
  readonly port: number;
  readonly relayPort: number;
  /** For the PKI and the configuration, and as a person would type it. */
  readonly directory: string;
  readonly shown: string;
  /** `performance.now()` when the command began. */
  readonly started: number;
}

const MAIN: Record<ProcessRole, readonly string[]> = {
  'private app': ['scripts', 'dist', 'private-app.js'],
  relay: ['intermediate-server', 'dist', 'main.js'],
  connector: ['app-connector', 'dist', 'main.js'],
  agent: ['agent', 'dist', 'main.js'],
};
/** What comes before the path of the configuration. */
const ARGUMENTS: Record<ProcessRole, readonly string[]> = { 'private app': [], relay: ['run', '-c'], connector: ['run', '-c'], agent: ['up', '-c'] };

/** Resolves with the exit code: 0 when it did what it should, or was asked to stop; 1 otherwise. */
export const runQuickstart = async (options: QuickstartOptions): Promise<number> => {
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  let workspace: Workspace | undefined;
  const group = new ProcessGroup({
    onStarted: (pid) => workspace?.lock.addProcess(pid),
    onNotable: (role, line) => print(`  ${role}: ${line}`),
  });
  const stop = watchStopRequests(() => group.kill());
  let failure: unknown;
  let result: ProbeResult | undefined;
  try {
    workspace = openWorkspace(options.directory);
    const running = bringUp({ options, workspace, group, print });
    running.catch(() => undefined);
    const stopped = stop.requested.then((reason) => ({ reason }));
    const first = await Promise.race([running, stopped, group.failed]);
    if ('reason' in first) {
      print(`\nstopping (${first.reason}) …`);
      if (options.once) throw new QuickstartFailure('stopped before the request was through.');
    } else {
      result = first;
      if (!options.once) {
        const { reason } = await Promise.race([stopped, group.failed]);
        print(`\nstopping (${reason}) …`);
      }
    }
  } catch (error) {
    failure = error;
  }
  await group.stop();
  workspace?.remove();
  stop.dispose();
  if (failure !== undefined) {
    process.stderr.write(`quickstart: ${failure instanceof QuickstartFailure ? failure.message : describeFault(failure)}\n`);
    return 1;
  }
  if (options.once && result) print(`quickstart: HTTP ${result.status} through the overlay in ${result.milliseconds} ms`);
  else print('stopped; nothing is left running.');
  return 0;
};

interface BringUp {
  readonly options: QuickstartOptions;
  readonly workspace: Workspace;
  readonly group: ProcessGroup;
  readonly print: (text: string) => void;
}

/** Starts all four and sends one request. Relay and app first, as the others' files name where they are. */
const bringUp = async ({ options, workspace, group, print }: BringUp): Promise<ProbeResult> => {
  const { port, relayPort, shown } = options;
  await assertPortsFree(options);
  print(`\n${stepLine('PKI', `a CA, 3 certificates and 2 registration keys in ${shown}`)}`);
  const start = (role: ProcessRole, config: string) => {
    const { config: configFile, log } = PROCESS_FILES[role];
    const path = workspace.write(configFile, config);
    return group.start({ role, script: join(options.root, ...MAIN[role]), args: [...ARGUMENTS[role], path], config: join(shown, configFile), logFile: workspace.path(log) });
  };

  workspace.write(POLICY_FILE, policyConfig());
  const app = start('private app', privateAppConfig());
  const relay = start('relay', relayConfig(relayPort));
  const [appAddress, relayAddress] = (await Promise.all([app.waitFor('listening'), relay.waitFor('listening')])).map(({ address }) => String(address)) as [string, string];
  print(stepLine('private app', `TCP ${appAddress}, loopback only`));
  print(stepLine('relay', `UDP ${relayAddress}`));

  const connector = start('connector', connectorConfig(relayAddress, appAddress));
  const agent = start('agent', agentConfig(relayAddress, port));
  const [, , { address: agentAddress }] = await Promise.all([connector.waitFor('registered'), agent.waitFor('registered'), agent.waitFor('listening')]);
  print(stepLine('connector', `registered for the service "${SERVICE}", which leads to ${appAddress}`));
  print(stepLine('agent', `TCP ${String(agentAddress)} leads to the service "${SERVICE}"`));

  const agentPort = Number(String(agentAddress).split(':').at(-1));
  const result = await requestThrough(agentPort).catch((error: unknown) => {
    throw error instanceof QuickstartFailure ? agent.failure(`${error.message} The agent:`) : error;
  });
  if (result.status !== 200) throw new QuickstartFailure(`the app answered with HTTP ${result.status} through the overlay, not 200.`);
  const seconds = ((performance.now() - options.started) / 1000).toFixed(1);
  print(stepLine('request', `HTTP ${result.status} through the overlay in ${result.milliseconds} ms, ${seconds} s after the command`));
  if (options.once) return result;

  const addresses: Record<ProcessRole, string> = {
    'private app': `TCP ${appAddress}`,
    relay: `UDP ${relayAddress}`,
    connector: 'none: dials out only',
    agent: `TCP ${String(agentAddress)}`,
  };
  const processes = group.children.map(({ role, pid = 0, config }) => ({ role, pid, address: addresses[role], config }));
  print(guide({ processes, port: agentPort, shown }));
  return result;
};

/** A bug, or a fault that has a message of its own (ZtnaError): the latter without its stack. */
const describeFault = (fault: unknown): string => {
  if (!(fault instanceof Error)) return String(fault);
  return 'code' in fault ? fault.message : (fault.stack ?? fault.message);
};
