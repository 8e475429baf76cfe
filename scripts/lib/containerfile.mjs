// Reads a Containerfile into stages of steps: the instructions that ours use, and an error for any other, so that
// nothing in the file goes unnoticed. Carrying them out is image-builder.mjs.

/** Instructions that build, in order, and those that only describe the image. */
const STEPS = new Set(['COPY', 'RUN', 'WORKDIR']);
const SETTINGS = new Set(['ENV', 'USER', 'EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD', 'LABEL']);

/**
 * @typedef {{ instruction: string, line: number, text: string, [field: string]: unknown }} Step
 * @returns {{ arguments: Record<string, string>, stages: { name: string | undefined, base: string, steps: Step[], settings: Record<string, any> }[] }}
 * @throws {Error} with the line of what it does not know
 */
export const parseContainerfile = (source) => {
  const parsed = { arguments: {}, stages: [] };
  for (const { instruction, text, line } of instructions(source)) {
    const fail = (why) => {
      throw new Error(`line ${line}: ${instruction} ${text}: ${why}`);
    };
    const stage = parsed.stages.at(-1);
    if (instruction === 'ARG') {
      if (stage) fail('arguments come before the first FROM, so that all base images are in one place');
      const [, name, value] = /^([A-Z_]+)=(\S+)$/.exec(text) ?? fail('is not NAME=value');
      parsed.arguments[name] = value;
    } else if (instruction === 'FROM') {
      const [, base, name] = /^(\S+)(?: AS (\S+))?$/.exec(text) ?? fail('is not IMAGE [AS name]');
      parsed.stages.push({ name, base, steps: [], settings: {} });
    } else if (!stage) fail('comes before FROM');
    else if (STEPS.has(instruction)) stage.steps.push({ instruction, line, text, ...(instruction === 'COPY' && parseCopy(text, fail)) });
    else if (SETTINGS.has(instruction)) stage.settings[instruction.toLowerCase()] = parseSetting(instruction, text, fail);
    else fail('is an instruction that is not supported');
  }
  if (parsed.stages.length === 0) throw new Error('there is no FROM');
  return parsed;
};

/** `${NAME}` by the file's arguments; other names stay. */
export const baseImageOf = ({ arguments: known }, { base }) => base.replace(/^\$\{([A-Z_]+)\}$/, (text, name) => known[name] ?? text);

/** Lines joined at a backslash, without comments. */
function* instructions(source) {
  let pending;
  for (const [index, raw] of source.split('\n').entries()) {
    if (/^\s*(#|$)/.test(raw)) continue;
    const text = raw.trim();
    const continued = text.endsWith('\\');
    const body = continued ? text.slice(0, -1).trim() : text;
    pending = pending ? { ...pending, text: `${pending.text} ${body}` } : { line: index + 1, text: body };
    if (continued) continue;
    const [, instruction, rest] = /^([A-Z]+)\s+(.*)$/.exec(pending.text) ?? [];
    if (!instruction) throw new Error(`line ${pending.line}: ${pending.text}: is no instruction`);
    yield { instruction, text: rest, line: pending.line };
    pending = undefined;
  }
  if (pending) throw new Error(`line ${pending.line}: ends in the middle of an instruction`);
}

const parseCopy = (text, fail) => {
  const words = text.split(/\s+/);
  const from = words[0].startsWith('--from=') ? words.shift().slice('--from='.length) : undefined;
  const target = words.pop();
  if (words.length === 0 || words.some((word) => word.startsWith('--'))) fail('is not [--from=STAGE] SOURCE … TARGET');
  if (words.length > 1 && !target.endsWith('/')) fail('several sources need a target that ends in /');
  return { from, sources: words, target };
};

const parseSetting = (instruction, text, fail) => {
  if (instruction === 'ENTRYPOINT' || instruction === 'CMD') return parseWords(text, fail);
  if (instruction === 'ENV' || instruction === 'LABEL') return Object.fromEntries([...text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)].map(([, name, quoted, bare]) => [name, quoted ?? bare]));
  if (instruction !== 'HEALTHCHECK' || text === 'NONE') return text;
  const [, options, command] = /^((?:--[a-z-]+=\S+ )*)CMD (\[.*\])$/.exec(text) ?? fail('is not [OPTIONS] CMD [words]');
  return { options: options.trim(), command: parseWords(command, fail) };
};

/** The form without a shell, which the image does not have. */
const parseWords = (text, fail) => {
  try {
    const words = JSON.parse(text);
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words;
  } catch {
    // said below
  }
  return fail('has to be a list of words in JSON: there is no shell in the image');
};
