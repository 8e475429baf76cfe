// What YAML is made of, for dictionaries, and how a target reads it.

import { readYaml } from '@ztna/protocol';

export const YAML_WORDS: readonly string[] = [
  ': ', '- ', '\n', '\n  ', '  ', '{', '}', '[', ']', ', ', '"', "'", '#', '|', '>', '|-\n', '? ', '!', '!!str ', '!!binary ', '!!omap ', '!!pairs ', '!!set ', '!!timestamp ', '&a ', '*a', '<<: *a', '---\n', '...\n', '%YAML 1.1\n',
  '%TAG ! tag:x\n', '\t', '\r\n', '~', 'null', 'true', 'yes', '0x1f', '1e999', '.nan', '-.inf', '__proto__', 'constructor', '\\x', '\\u0000', '\ufeff', '12:30:45', '2026-01-01', '=',
];

export const yamlData = (input: Uint8Array): unknown => readYaml(new TextDecoder().decode(input)).data;
