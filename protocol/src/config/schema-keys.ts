// Which keys a schema knows at a place: for "did you mean" and for lists of what is allowed.
// Reads zod's own definition tree; validating is zod's.

import type { z } from 'zod';
import type { KeyPath } from './config-fault.js';

type Node = z.core.$ZodType;

/** The keys of every object schema that could apply at `path`, in the schema's order. */
export const knownKeys = (schema: Node, path: KeyPath): string[] => {
  let nodes = unwrap(schema);
  for (const part of path) nodes = nodes.flatMap((node) => step(node, part)).flatMap(unwrap);
  return [...new Set(nodes.flatMap((node) => Object.keys(shapeOf(node))))];
};

const definition = (node: Node): z.core.$ZodTypes['_zod']['def'] => (node as z.core.$ZodTypes)._zod.def;

const shapeOf = (node: Node): Record<string, Node> => {
  const def = definition(node);
  return def.type === 'object' ? def.shape : {};
};

const step = (node: Node, part: PropertyKey): Node[] => {
  const def = definition(node);
  if (def.type === 'array') return [def.element];
  if (def.type === 'record') return [def.valueType];
  const child = typeof part === 'string' ? shapeOf(node)[part] : undefined;
  return child ? [child] : [];
};

/** Through optional, default, transform and union to what describes the input. */
const unwrap = (node: Node): Node[] => {
  const def = definition(node);
  if (def.type === 'union') return def.options.flatMap(unwrap);
  if (def.type === 'pipe') return unwrap(def.in);
  if (def.type === 'lazy') return unwrap(def.getter());
  return 'innerType' in def ? unwrap(def.innerType) : [node];
};
