/** Derivatives of functions over tensors: function → function, so that they can be repeated. */
import { isFloat } from '../base/dtype.js';
import { input, withInputs } from '../graph/build.js';
import { gradient } from '../graph/gradient.js';
import type { Node } from '../graph/node.js';
import { pendingOrder } from './evaluate.js';
import { nodeOf } from './handle.js';
import { storageOf } from './storage.js';
import { isTensor, Tensor } from './tensor.js';
import { mapTree, tensorsOf } from './tree.js';
import { atUserLine, misuse } from './where.js';

/** The nodes with others in the place of some that they are made from. */
function replaceNodes(roots: readonly Node[], replacement: ReadonlyMap<Node, Node>): Node[] {
  const map = new Map(replacement);
  const isKnown = (node: Node): boolean => map.has(node) || storageOf(node)?.isReleased === false;
  for (const node of pendingOrder(roots, isKnown)) {
    if (map.has(node)) continue;
    const inputs = node.inputs.map((value) => map.get(value) ?? value);
    map.set(node, isKnown(node) ? node : withInputs(node, inputs));
  }
  return roots.map((node) => map.get(node) as Node);
}

interface Traced<P, A> {
  readonly value: Tensor;
  readonly aux: A;
  readonly gradients: P;
}

/** Runs `fn` on stand-ins for the first argument, so that only that path is differentiated. */
function trace<P, R extends readonly unknown[], A>(
  fn: (parameters: P, ...rest: R) => readonly [Tensor, A],
  parameters: P,
  rest: R,
): Traced<P, A> {
  const originals = tensorsOf(parameters).map(nodeOf);
  const standIns = originals.map(({ dtype, shape }) => input('parameter', { dtype, shape }));
  let at = 0;
  const [loss, aux] = fn(
    mapTree(parameters, () => new Tensor(standIns[at++] as Node)),
    ...rest,
  );
  if (!isTensor(loss) || loss.rank > 0 || !isFloat(loss.dtype)) {
    throw misuse('OC-TENSOR-08', { given: isTensor(loss) ? `${loss}` : typeof loss });
  }
  const others = tensorsOf(aux);
  const made = gradient([nodeOf(loss)], standIns);
  const back = new Map(standIns.map((node, i) => [node, originals[i] as Node]));
  const nodes = replaceNodes([nodeOf(loss), ...made, ...others.map(nodeOf)], back);
  const [value, ...tensors] = nodes.map((node) => new Tensor(node)) as [Tensor, ...Tensor[]];
  let next = 0;
  const gradients = mapTree(parameters, () => tensors[next++] as Tensor);
  return { value, gradients, aux: mapTree(aux, () => tensors[next++] as Tensor) };
}

type Loss<P, R extends readonly unknown[]> = (parameters: P, ...rest: R) => Tensor;

/**
 * The derivative of a function that gives a scalar, with respect to its first argument: a tensor
 * or a tree of them. Throws OC-TENSOR-08, OC-DTYPE-01 for integers.
 */
export function grad<P, R extends readonly unknown[]>(
  fn: Loss<P, R>,
): (parameters: P, ...rest: R) => P {
  return (parameters, ...rest) => valueAndGrad(fn)(parameters, ...rest)[1];
}

/** As `grad`, with the value of the function too. */
export function valueAndGrad<P, R extends readonly unknown[]>(
  fn: Loss<P, R>,
): (parameters: P, ...rest: R) => [value: Tensor, gradients: P] {
  return (parameters, ...rest) =>
    atUserLine(() => {
      const { value, gradients } = trace<P, R, undefined>(
        (given, ...others) => [fn(given, ...others), undefined],
        parameters,
        rest,
      );
      return [value, gradients];
    });
}

/** As `valueAndGrad` for a function that gives [loss, aux]: aux is passed on. */
export function valueAndGradWithAux<P, R extends readonly unknown[], A>(
  fn: (parameters: P, ...rest: R) => readonly [loss: Tensor, aux: A],
): (parameters: P, ...rest: R) => [value: Tensor, gradients: P, aux: A] {
  return (parameters, ...rest) =>
    atUserLine(() => {
      const { value, gradients, aux } = trace(fn, parameters, rest);
      return [value, gradients, aux];
    });
}
