/** Parameters as plain records of named tensors, for files; the names are paths: `0.weight`. */
import {
  fromHost,
  type HostTensor,
  mapTree,
  OpenClawError,
  realize,
  type Tensor,
  tensorsOf,
} from '@open-claw/core';

function pathsOf(tree: unknown, tensors: ReadonlySet<unknown>, path: string): string[] {
  if (tensors.has(tree)) return [path];
  if (typeof tree !== 'object' || tree === null) return [];
  return Object.entries(tree).flatMap(([name, member]) =>
    pathsOf(member, tensors, path === '' ? name : `${path}.${name}`),
  );
}

const pathsIn = (parameters: unknown): string[] =>
  pathsOf(parameters, new Set<unknown>(tensorsOf(parameters)), '');

/** All parameters by path, in host memory. */
export async function saveParameters(
  parameters: unknown,
): Promise<Readonly<Record<string, HostTensor>>> {
  await realize(parameters);
  const tensors = tensorsOf(parameters);
  const values = await Promise.all(tensors.map((leaf) => leaf.host()));
  return Object.fromEntries(pathsIn(parameters).map((path, i) => [path, values[i] as HostTensor]));
}

/**
 * Parameters of the structure of `like` with the values of a record. Throws OC-NN-01 where a name
 * is missing, OC-NN-02 where a dtype or shape differs.
 */
export function loadParameters<P>(like: P, record: Readonly<Record<string, HostTensor>>): P {
  const paths = pathsIn(like);
  let at = 0;
  return mapTree(like, (leaf: Tensor) => {
    const path = paths[at++] as string;
    const value = record[path];
    if (value === undefined) throw new OpenClawError('OC-NN-01', { path }, { kind: 'usage' });
    const loaded = fromHost(value);
    const [given, expected] = [`${loaded}`, `${leaf}`];
    if (given === expected) return loaded;
    throw new OpenClawError('OC-NN-02', { path, given, expected }, { kind: 'usage' });
  });
}
