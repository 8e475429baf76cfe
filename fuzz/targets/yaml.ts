// YAML an operator wrote, or something that is no YAML at all: plain data, or faults with a line that exists.

import { formatKeyPath, readYaml } from '@ztna/protocol';
import { utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { YAML_WORDS } from './support/yaml-words.js';

const isPlain = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return ['string', 'number', 'boolean', 'undefined', 'object', 'bigint'].includes(typeof value);
  if (Array.isArray(value)) return value.every(isPlain);
  return Object.getPrototypeOf(value) === Object.prototype && !Object.hasOwn(value, '__proto__') && Object.values(value).every(isPlain);
};

export const target: FuzzTarget = {
  decodes: 'readYaml',
  // A text of nothing but faults takes the parser up to 10 µs for each byte.
  maxBytes: 2048,
  memory: { base: 1_048_576, perByte: 8192 },
  dictionary: YAML_WORDS,
  *seeds() {
    yield utf8('listen: 0.0.0.0:4433\ntls: {ca: ca.pem, certificate: "r.pem", key: \'r.key\'}\nlist:\n  - a\n  - b: 1\n    c: [x, y]\n');
    yield utf8('a: |\n  text\n  more\nb: >-\n  folded\n? complex\n: value\n');
    yield utf8('a: &x [1, 2]\nb: *x\n');
    yield utf8('%YAML 1.2\n---\na: !!str 1\n...\n---\nb: 2\n');
    yield utf8('{a: 1, a: 2, __proto__: 3}');
  },
  run(input) {
    const text = new TextDecoder().decode(input);
    const source = readYaml(text);
    const { data, faults } = source;
    const lines = text.split('\n').length;
    ensure(data !== undefined || faults.length > 0, 'neither data nor a fault');
    ensure(faults.every(({ line, problem }) => line >= 1 && line <= lines && problem !== ''), 'a fault without a line or a word');
    ensure(isPlain(data), 'data that is not plain');
    const where = typeof data === 'object' && data !== null ? Object.keys(data).map((key) => source.lineOf(formatKeyPath([key]))) : [];
    ensure(where.every((line) => line >= 1 && line <= lines), 'a key in a line that is not there');
    return { data, faults, where };
  },
};
