// Mistakes in rendered objects, made one at a time.

import { called, type KubernetesObject } from './kubernetes-object.js';

/**
 * A copy of the objects in which one differs.
 *
 * @param name as `called` says it, such as `Deployment ztna/app-connector`
 * @param path keys and positions, by slashes; undefined for the object itself
 * @param value undefined takes it away
 */
export const edited = (objects: readonly KubernetesObject[], name: string, path: string | undefined, value?: unknown): KubernetesObject[] => {
  const copies = structuredClone([...objects]);
  const at = copies.findIndex((object) => called(object) === name);
  if (at < 0) throw new Error(`no ${name} among ${objects.map(called).join(', ')}`);
  if (path === undefined) copies.splice(at, 1);
  else set(copies[at]!, path.split('/'), value);
  return copies;
};

const set = (target: object, path: readonly string[], value: unknown): void => {
  const holder = path.slice(0, -1).reduce((node, key) => {
    const next = (node as Readonly<Record<string, unknown>>)[key];
    if (typeof next !== 'object' || next === null) throw new Error(`nothing at ${key} of ${path.join('/')}`);
    return next;
  }, target) as Record<string, unknown>;
  const key = path.at(-1)!;
  if (value !== undefined) holder[key] = value;
  else if (!(key in holder)) throw new Error(`nothing at ${path.join('/')} to take away`);
  else if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
};
