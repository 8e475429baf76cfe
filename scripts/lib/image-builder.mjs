// Carries out the steps of a parsed Containerfile in folders of this machine, one for each stage, in place of a container
// builder. The first base image is this machine's own Node and npm; the last one is runtime-root.mjs.
//
// What a step may do is what works in both places: RUN only with relative paths, because here `/` is the machine's.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { createRuntimeRoot } from './runtime-root.mjs';

/**
 * Builds every stage and leaves each in a folder under `work`; the last one is the image's root.
 *
 * @param {ReturnType<import('./containerfile.mjs').parseContainerfile>} parsed
 * @param {{ context: string, ignored: (path: string) => boolean, work: string, finished: Map<string, { folder: string, directory: string }>, report: (line: string) => void }} options
 *   `finished`: stages of other files built before, by everything they consist of; they are not built again
 * @returns {string} the image's root folder
 * @throws {Error} naming the step that failed, with its output
 */
export const buildImage = (parsed, { context, ignored, work, finished, report }) => {
  const built = new Map();
  for (const [index, stage] of parsed.stages.entries()) {
    const isLast = index === parsed.stages.length - 1;
    const identity = JSON.stringify([parsed.arguments, parsed.stages.slice(0, index + 1)].map(withoutLines));
    let result = finished.get(identity);
    if (!result) {
      const base = built.get(stage.base);
      const folder = join(work, `${index}-${stage.name ?? 'image'}`);
      startStage(folder, { base, isLast });
      const state = { folder, directory: base?.directory ?? '/', context, ignored, built, report };
      for (const step of stage.steps) performStep(step, state);
      result = { folder, directory: state.directory };
      finished.set(identity, result);
    }
    built.set(stage.name, result);
    if (isLast) return result.folder;
  }
};

const withoutLines = (value) => JSON.parse(JSON.stringify(value, (key, inner) => (key === 'line' ? undefined : inner)));

const startStage = (folder, { base, isLast }) => {
  if (base) copyFolder(base.folder, folder);
  else if (isLast) createRuntimeRoot(folder);
  else mkdirSync(folder, { recursive: true });
};

const COPYING = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true };

const performStep = (step, state) => {
  state.report(`${step.instruction} ${step.text}`);
  try {
    if (step.instruction === 'WORKDIR') changeDirectory(step.text, state);
    else if (step.instruction === 'COPY') copy(step, state);
    else run(step.text, state);
  } catch (error) {
    throw new Error(`line ${step.line}: ${step.instruction} ${step.text}: ${error.message}`, { cause: error });
  }
};

const changeDirectory = (text, state) => {
  if (!isAbsolute(text)) throw new Error('is not an absolute path');
  state.directory = text;
  mkdirSync(join(state.folder, text), { recursive: true });
};

/** As builders do: a folder's content goes into the target, a file under its name when the target ends in `/`. */
const copy = ({ from, sources, target }, { folder, directory, context, ignored, built }) => {
  const origin = from === undefined ? context : built.get(from)?.folder;
  if (!origin) throw new Error(`there is no stage ${from}`);
  const filter = from === undefined ? (path) => !ignored(relative(context, path).split(sep).join('/')) : undefined;
  const to = isAbsolute(target) ? join(folder, target) : join(folder, directory, target);
  for (const source of sources) {
    const path = join(origin, source);
    if (!existsSync(path) || (filter && !filter(path))) throw new Error(`there is no ${source}`);
    const isFolder = statSync(path).isDirectory();
    const place = !isFolder && target.endsWith('/') ? join(to, basename(source)) : to;
    mkdirSync(isFolder ? place : dirname(place), { recursive: true });
    if (filter || !isFolder) cpSync(path, place, { ...COPYING, ...(filter && { filter }) });
    else copyFolder(path, place);
  }
};

/** Thousands of small files: `cp` is much faster than Node’s own. */
const copyFolder = (from, to) => {
  mkdirSync(to, { recursive: true });
  const { status, error, stderr } = spawnSync('cp', ['-a', '--', `${from}/.`, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(error?.message ?? stderr);
};

const run = (command, { folder, directory }) => {
  const absolute = /(^|[\s=<>'"])\/[\w.]/.exec(command);
  if (absolute) throw new Error('names an absolute path, which would be this machine’s own');
  const env = { ...process.env, NODE_ENV: undefined, PATH: `${dirname(process.execPath)}:${process.env.PATH}`, npm_config_prefer_offline: 'true' };
  for (const name of Object.keys(env)) if (env[name] === undefined || /^npm_(?!config_(cache|registry|userconfig|prefer_offline)$)/.test(name)) delete env[name];
  const { status, error, stdout, stderr } = spawnSync('/bin/sh', ['-c', command], { cwd: join(folder, directory), env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`${error?.message ?? `exited with ${status}`}\n${stdout}${stderr}`);
};

