// TAP → what a person reads, and counts. One line per file, the whole diagnosis of each failure, and how
// many tests passed. A test is a titled block without blocks inside it, or a file without any; its
// assertions are not counted one by one.

/** Diagnostics that repeat the test's own source or how tap started it. */
const NOISE = new Set(['source', 'at', 'tapCaught', 'compare', 'stdio', 'cwd', 'externalID', 'command', 'args', 'jobId']);

/**
 * Attaches to a tap-parser `Parser` that will be fed tap's own output, files at its top level.
 *
 * @param {import('tap-parser').Parser} parser
 * @param {(line: string) => void} print
 * @param {(file: string) => string} nameOf how to show a compiled file's path
 * @returns {() => { passed: number, failed: number, skipped: number }} call it once the parser has completed
 */
export const reportTap = (parser, print, nameOf = (file) => file) => {
  const top = watch(parser, '', []);
  const onFile = (file) => {
    const { passed, failed, skipped } = count(file);
    const numbers = [`${passed} passed`, ...(failed ? [`${failed} failed`] : []), ...(skipped ? [`${skipped} skipped`] : [])].join(', ');
    const time = file.result?.time ? ` (${(file.result.time / 1000).toFixed(1)} s)` : '';
    print(`${failed ? 'FAIL' : 'ok  '} ${nameOf(file.title)}: ${numbers}${time}`);
    for (const line of describeFailures(file, nameOf)) print(line);
    for (const line of describeSkips(file)) print(line);
  };
  parser.on('assert', (result) => {
    const file = top.children.find((child) => child.result === result);
    if (file) onFile(file);
    else print(`${result.ok ? 'ok  ' : 'FAIL'} ${nameOf(result.name)}${result.skip ? ` skipped: ${result.skip}` : ''}`);
  });
  parser.on('bailout', (reason) => print(`FAIL bail out: ${reason}`));
  return () => {
    const totals = sum(top.children.map(count));
    totals.skipped += top.skips.length;
    // What failed without being a test: a bail out, a broken plan, a file that never started.
    if (!parser.ok && totals.failed === 0) totals.failed = Math.max(1, top.failures.length);
    return totals;
  };
};

/** Collects what a parser and those inside it see, as they see it. */
const watch = (parser, title, path) => {
  const block = { title, path, result: undefined, children: [], failures: [], skips: [], passes: 0, problems: [] };
  parser.on('child', (inner) => {
    const name = unescapeTitle(inner.name);
    block.children.push(watch(inner, name, [...path, name]));
  });
  parser.on('assert', (result) => {
    const child = block.children.find((candidate) => candidate.result === undefined && candidate.title === result.name);
    if (child) child.result = result;
    else if (result.skip !== false || result.todo !== false) block.skips.push(result);
    else if (result.ok) block.passes++;
    else block.failures.push(result);
  });
  parser.on('complete', (results) => {
    block.problems = results.failures.filter((failure) => failure.tapError && failure.name === undefined).map((failure) => failure.tapError);
  });
  return block;
};

/** tap-parser gives the name of a subtest as it stands in its comment, `\\#` for `#`, and that of its result as it was meant. */
const unescapeTitle = (title) => title.replace(/\\([\\#])/g, '$1');

const count = (block) => {
  if (block.result?.skip || block.result?.todo) return { passed: 0, failed: 0, skipped: 1 };
  const bad = block.failures.length > 0 || block.problems.length > 0;
  if (block.children.length === 0) {
    const failed = bad || block.result?.ok !== true;
    const onlySkips = block.passes === 0 && block.skips.length > 0;
    return { passed: failed || onlySkips ? 0 : 1, failed: failed ? 1 : 0, skipped: block.skips.length };
  }
  const totals = sum(block.children.map(count));
  totals.skipped += block.skips.length;
  if (bad || (block.result?.ok !== true && totals.failed === 0)) totals.failed++;
  return totals;
};

const sum = (counts) =>
  counts.reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }), { passed: 0, failed: 0, skipped: 0 });

function* describeFailures(block, nameOf) {
  for (const failure of block.failures) yield* describePoint([...block.path, failure.name], failure.diag, nameOf);
  for (const problem of block.problems) yield `    ${describePath(block.path, nameOf)}: ${problem}`;
  for (const child of block.children) yield* describeFailures(child, nameOf);
  const explained = block.failures.length > 0 || block.problems.length > 0 || block.children.some((child) => count(child).failed > 0);
  if (block.result && !block.result.ok && !block.result.skip && !block.result.todo && !explained) yield* describePoint(block.path, block.result.diag, nameOf);
}

function* describePoint(path, diag, nameOf) {
  yield `    ${describePath(path, nameOf)}`;
  for (const [key, value] of Object.entries(diag ?? {})) {
    if (NOISE.has(key)) continue;
    const text = typeof value === 'string' ? value.trimEnd() : JSON.stringify(value);
    yield `      ${key}: ${text.includes('\n') ? `\n${text.replace(/^/gm, '        ')}` : text}`;
  }
}

const describePath = ([file, ...titles], nameOf) => [nameOf(file ?? ''), ...titles].join(' > ');

function* describeSkips(block) {
  for (const skip of block.skips) yield `    skipped: ${[...block.path.slice(1), skip.name].join(' > ')}${typeof skip.skip === 'string' ? ` (${skip.skip})` : ''}`;
  for (const child of block.children) yield* describeSkips(child);
}
