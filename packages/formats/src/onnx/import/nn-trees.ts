/** TreeEnsemble: all samples walk down all trees together, one level after the other. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size, valuesOf } from './core.js';
import { positionAlong } from './lookups.js';

/** Inner nodes first, then leaves; a leaf's children are itself. */
interface Forest {
  readonly features: readonly number[];
  readonly splits: readonly number[];
  readonly modes: readonly number[];
  readonly yes: readonly number[];
  readonly no: readonly number[];
  readonly members: readonly (readonly number[])[];
  /** 1 where NaN goes to the true branch. */
  readonly missing: readonly number[];
  readonly roots: readonly number[];
  readonly targets: readonly number[];
  readonly weights: readonly number[];
  readonly depth: number;
}

const member = 6;

/** Sets of the nodes that ask for membership, in their order, separated by NaN. */
function membersOf(call: OperatorCall, modes: readonly number[]): readonly (readonly number[])[] {
  const given = call.hasAttribute('membership_values')
    ? call.tensorAttribute('membership_values')
    : undefined;
  const lists: number[][] = [[]];
  for (const value of given === undefined ? [] : valuesOf(given).map(Number)) {
    if (Number.isNaN(value)) lists.push([]);
    else lists.at(-1)?.push(value);
  }
  return modes.map((mode) => (mode === member ? (lists.shift() ?? []) : []));
}

function numbersOf(call: OperatorCall, name: string): readonly number[] {
  const tensor = call.tensorAttribute(name);
  if (tensor === undefined) throw call.refuse(`attribute ${name} is missing`);
  return valuesOf(tensor).map(Number);
}

function forestOf(call: OperatorCall): Forest {
  const features = call.ints('nodes_featureids');
  const count = features.length;
  const modes = numbersOf(call, 'nodes_modes');
  const targets = call.ints('leaf_targetids');
  const leaves = targets.map((_, i) => count + i);
  const child = (ids: readonly number[], leaf: readonly number[]): readonly number[] =>
    ids.map((id, i) => (leaf[i] === 0 ? id : count + id));
  const yes = child(call.ints('nodes_truenodeids'), call.ints('nodes_trueleafs'));
  const no = child(call.ints('nodes_falsenodeids'), call.ints('nodes_falseleafs'));
  const roots = call.ints('tree_roots');
  const total = count + leaves.length;
  if ([...yes, ...no, ...roots].some((id) => id < 0 || id >= total)) {
    throw call.refuse('a child that is not there');
  }
  const none = leaves.map(() => 0);
  return {
    features: [...features, ...none],
    splits: [...numbersOf(call, 'nodes_splits'), ...none],
    modes: [...modes, ...none],
    yes: [...yes, ...leaves],
    no: [...no, ...leaves],
    members: [...membersOf(call, modes), ...leaves.map(() => [])],
    missing: [
      ...call.ints(
        'nodes_missing_value_tracks_true',
        features.map(() => 0),
      ),
      ...none,
    ],
    roots,
    targets: [...features.map(() => 0), ...targets],
    weights: [...features.map(() => 0), ...numbersOf(call, 'leaf_weights')],
    depth: depthOf(call, yes, no, roots, count),
  };
}

/** The longest way down. */
function depthOf(
  call: OperatorCall,
  yes: readonly number[],
  no: readonly number[],
  roots: readonly number[],
  count: number,
): number {
  let level = new Set(roots.filter((id) => id < count));
  let depth = 0;
  for (; level.size > 0; depth++) {
    if (depth > count) throw call.refuse('a tree with a cycle');
    const next = [...level].flatMap((id) => [yes[id] as number, no[id] as number]);
    level = new Set(next.filter((id) => id < count));
  }
  return depth;
}

/** Whether x goes to the true branch of its node; all [samples, trees]. */
function decide(x: Node, split: Node, mode: Node, among: Node | undefined): Node {
  const answers = [
    build.lessEqual(x, split),
    build.less(x, split),
    build.greaterEqual(x, split),
    build.greater(x, split),
    build.equal(x, split),
    build.notEqual(x, split),
    ...(among === undefined ? [] : [among]),
  ];
  return answers
    .map((answer, i) => build.and(answer, build.equal(mode, BigInt(i))))
    .reduce((a, b) => build.or(a, b));
}

/** ai.onnx.ml TreeEnsemble 5, sums and means, without or with a logistic or softmax at the end. */
export function treeEnsemble(call: OperatorCall): Node {
  const x = call.tensor(0);
  const forest = forestOf(call);
  const aggregate = call.int('aggregate_function', 1);
  if (aggregate !== 0 && aggregate !== 1) throw call.refuse('minima and maxima of trees');
  const [samples, width] = x.shape as [Size, Size];
  const trees = forest.roots.length;
  const shape = [samples, trees];
  const whole = (values: readonly number[]): Node =>
    build.constantOf('i64', [values.length], values.map(BigInt));
  const real = (values: readonly number[]): Node =>
    build.constantOf(x.dtype, [values.length], values);
  const most = Math.max(0, ...forest.members.map((set) => set.length));
  const sets = forest.members.flatMap((set) =>
    Array.from({ length: most }, (_, i) => set[i] ?? Number.NaN),
  );
  const table =
    most === 0 ? undefined : build.constantOf(x.dtype, [sets.length / most, most], sets);
  const flat = build.reshape(x, [size.multiply(samples, width)]);
  let at = build.broadcastTo(whole(forest.roots), shape);
  for (let level = 0; level < forest.depth; level++) {
    const pick = (values: Node): Node => build.gather(values, at, 0);
    const row = build.multiply(positionAlong(shape, 0), build.size(width));
    const value = build.gather(flat, build.add(row, pick(whole(forest.features))), 0);
    const among = table && build.equal(build.unsqueeze(value, [2]), build.gather(table, at, 0));
    const hit = among && build.notEqual(build.sum(build.cast(among, 'i32'), [2]), 0);
    const holds = decide(value, pick(real(forest.splits)), pick(whole(forest.modes)), hit);
    const missing = build.notEqual(pick(whole(forest.missing)), 0);
    const yes = build.or(holds, build.and(missing, build.isNaN(value)));
    at = build.select(yes, pick(whole(forest.yes)), pick(whole(forest.no)));
  }
  const targets = call.int('n_targets', 1);
  const target = build.unsqueeze(build.gather(whole(forest.targets), at, 0), [2]);
  const weight = build.unsqueeze(build.gather(real(forest.weights), at, 0), [2]);
  const column = build.iota({ dtype: 'i64', shape: [1, 1, targets] }, 2);
  const sums = build.sum(build.select(build.equal(target, column), weight, 0), [1]);
  return transformed(call, aggregate === 0 ? build.divide(sums, trees) : sums);
}

function transformed(call: OperatorCall, x: Node): Node {
  switch (call.int('post_transform', 0)) {
    case 0:
      return x;
    case 1:
      return build.softmax(x, 1);
    case 2:
      return build.sigmoid(x);
    default:
      throw call.refuse('a post transform of another kind');
  }
}
