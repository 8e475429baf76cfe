// YAML text → plain data, with the line of every key. Owns what YAML we accept: one document of maps,
// lists and scalars, YAML 1.2. Aliases (a few hundred bytes can stand for gigabytes), tags, directives,
// duplicate keys and deep nesting are faults. What the data must look like is the schema's.

import { Composer, isAlias, isCollection, isMap, isScalar, isSeq, LineCounter, Parser } from 'yaml';
import type { CST, Document, ErrorCode, ParsedNode, YAMLMap } from 'yaml';
import { formatKeyPath, type ConfigFault, type KeyPath } from './config-fault.js';

/**
 * Levels of maps and lists. Ours need 5. The composer recurses, and on a stack that is nearly full V8
 * ends the process inside its regular expressions rather than throwing.
 */
const MAX_DEPTH = 32;

export interface YamlSource {
  /** Plain data; undefined when the text is too broken to be judged by a schema. */
  readonly data: unknown;
  readonly faults: ConfigFault[];
  /** The line, from 1, of the key at `path` (as `formatKeyPath` writes it), or of the nearest thing around it that exists. */
  readonly lineOf: (path: string) => number;
}

/** Reads YAML text. Never throws: whatever is wrong with it is in `faults`. */
export const readYaml = (text: string): YamlSource => {
  const lines = new LineCounter();
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  const broken = (faults: ConfigFault[]): YamlSource => ({ data: undefined, faults, lineOf: () => 1 });

  const tooDeep = findTooDeep(tokens);
  if (tooDeep !== undefined)
    return broken([{ line: lineAt(tooDeep), keyPath: '', problem: `is nested more than ${MAX_DEPTH} levels deep` }]);

  // Duplicates are found below, in linear time; the composer compares every key with every other.
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false, stringKeys: true, version: '1.2' });
  const documents = [...composer.compose(tokens, true, text.length)];
  const document = documents[0]!;
  if (documents.length > 1)
    return broken([{ line: lineAt(documents[1]!.range[0]), keyPath: '', problem: 'a second document starts here; must be one document' }]);

  const syntax = document.errors.map((error) => ({ line: lineAt(error.pos[0]), keyPath: '', problem: describeSyntax(error.code) }));
  if (syntax.length > 0) return broken(oncePerLine(syntax));

  const faults: ConfigFault[] = [];
  if (document.directives.yaml.explicit || Object.keys(document.directives.tags).some((handle) => handle !== '!!'))
    faults.push({ line: 1, keyPath: '', problem: 'YAML directives (%YAML, %TAG) are not allowed' });
  const { isPlain, lineByPath } = inspectNodes(document, lineAt, faults);
  return {
    data: isPlain ? (document.toJS({ maxAliasCount: 0 }) as unknown) : undefined,
    faults,
    lineOf: (path) => {
      for (let around = path; around !== ''; around = enclosing(around)) {
        const line = lineByPath.get(around);
        if (line !== undefined) return line;
      }
      return 1;
    },
  };
};

/** The offset of the first collection past the depth bound. Iterative, as the input chooses the depth. */
const findTooDeep = (tokens: readonly CST.Token[]): number | undefined => {
  const pending = tokens.map((token) => ({ token, depth: 0 }));
  for (let next; (next = pending.pop()); ) {
    const { token, depth } = next;
    if (token.type === 'document') {
      if (token.value) pending.push({ token: token.value, depth });
    } else if ('items' in token) {
      if (depth >= MAX_DEPTH) return token.offset;
      for (const item of token.items)
        for (const child of [item.key, item.value]) if (child) pending.push({ token: child, depth: depth + 1 });
    }
  }
  return undefined;
};

interface Inspection {
  /** False with an alias, where data can't be built, or a standard tag, which would put buffers, sets or dates into it (`!!binary`). */
  readonly isPlain: boolean;
  /** By `formatKeyPath`; of duplicate keys the last, whose value counts. */
  readonly lineByPath: ReadonlyMap<string, number>;
}

/** Without its last part: `a.b[0]` → `a.b` → `a` → nothing. */
const enclosing = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.'), path.lastIndexOf('[')));

/** Notes every key's line, and adds the faults that the composer lets pass and we do not. */
const inspectNodes = (document: Document.Parsed, lineAt: (offset: number) => number, faults: ConfigFault[]): Inspection => {
  let isPlain = true;
  const lineByPath = new Map<string, number>();
  const startOf = (node: unknown): number => lineAt((node as ParsedNode | null)?.range[0] ?? 0);
  const fault = (node: unknown, path: KeyPath, problem: string): void => {
    faults.push({ line: startOf(node), keyPath: formatKeyPath(path), problem });
  };
  const visitKeys = (map: YAMLMap, path: KeyPath): void => {
    const firstLine = new Map<string, number>();
    for (const pair of map.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      const where = [...path, key];
      const first = firstLine.get(key);
      if (first !== undefined) fault(pair.key, where, `is given twice, first in line ${first}`);
      else firstLine.set(key, startOf(pair.key));
      // A record schema drops this key silently; every other key is the schema's to judge.
      if (key === '__proto__') fault(pair.key, where, 'is not a known key');
      lineByPath.set(formatKeyPath(where), startOf(pair.key));
      visit(pair.value, where);
    }
    map.items = map.items.filter(({ key }) => !isScalar(key) || key.value !== '__proto__');
  };
  const visit = (node: unknown, path: KeyPath): void => {
    if (isAlias(node)) {
      isPlain = false;
      fault(node, path, 'is a YAML alias (*name); must be written out');
    } else if (isScalar(node) || isCollection(node)) {
      if (node.tag !== undefined && node.tag !== impliedTag(node)) {
        fault(node, path, 'has a YAML tag (!name); tags are not allowed');
        if (node.tag.startsWith(STANDARD_TAGS)) {
          isPlain = false;
          return; // what is inside was rearranged (`!!omap`) and has no places any more
        }
      }
      if (isMap(node)) visitKeys(node, path);
      else if (isSeq(node))
        node.items.forEach((item, index) => {
          lineByPath.set(formatKeyPath([...path, index]), startOf(item));
          visit(item, [...path, index]);
        });
    }
  };
  visit(document.contents, []);
  return { isPlain, lineByPath };
};

const STANDARD_TAGS = 'tag:yaml.org,2002:';

const impliedTag = (node: unknown): string | undefined =>
  isMap(node) ? `${STANDARD_TAGS}map` : isSeq(node) ? `${STANDARD_TAGS}seq` : undefined;

/** One broken line can raise a dozen errors; the first says enough. */
const oncePerLine = (faults: readonly ConfigFault[]): ConfigFault[] => {
  const lines = new Set<number>();
  return faults.filter(({ line }) => !lines.has(line) && lines.add(line));
};

/** Our words for the library's codes: its own messages may quote the text, and the text may hold a secret. */
const SYNTAX: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'is a YAML alias (*name) without its anchor; must be written out',
  BAD_DQ_ESCAPE: 'has a backslash sequence that double quotes do not allow; use single quotes',
  BAD_INDENT: 'is indented wrongly, or a bracket is not closed',
  BAD_SCALAR_START: 'starts with a character YAML reserves (@ ` %); put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'has a second "key:" in one line; put the value in quotes or on its own line',
  MISSING_CHAR: 'lacks a closing quote, bracket, colon or space',
  MULTILINE_IMPLICIT_KEY: 'has a key that runs over more than one line; is a colon or quote missing?',
  NON_STRING_KEY: 'has a map or list as a key; must be text',
  TAB_AS_INDENT: 'is indented with a tab; use spaces',
  TAG_RESOLVE_FAILED: 'has a YAML tag (!name); tags are not allowed',
  UNEXPECTED_TOKEN: 'has something YAML does not allow at this place',
};

const describeSyntax = (code: ErrorCode): string => SYNTAX[code] ?? `is not valid YAML (${code})`;
