/** Einsum: an equation over named axes, as diagonals, sums and pairwise contractions. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import { flatPlace, positionAlong } from './lookups.js';

/** A value whose axes have names; `.0`, `.1` … are axes of an ellipsis, counted from its end. */
interface Term {
  readonly x: Node;
  readonly axes: readonly string[];
}

interface Equation {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
}

/** Letters of one term; the ellipsis stands for `extra` axes. */
function namesOf(call: OperatorCall, text: string, extra: number): readonly string[] {
  const found = text.match(/\.\.\.|[A-Za-z]/g) ?? [];
  if (found.join('') !== text || found.filter((each) => each === '...').length > 1) {
    throw call.refuse('the equation cannot be read');
  }
  const ellipsis = Array.from({ length: extra }, (_, i) => `.${extra - 1 - i}`);
  return found.flatMap((each) => (each === '...' ? ellipsis : [each]));
}

function parse(call: OperatorCall, inputs: readonly Node[]): Equation {
  const equation = call.text('equation').replaceAll(/\s/g, '');
  const [left = '', right, ...more] = equation.split('->');
  const terms = left.split(',');
  if (more.length > 0 || terms.length !== inputs.length) {
    throw call.refuse('the equation does not fit the number of inputs');
  }
  const extras = terms.map((text, i) => {
    const letters = text.replace('...', '').length;
    const extra = (inputs[i] as Node).shape.length - letters;
    if (extra < 0 || (extra > 0 && !text.includes('...'))) {
      throw call.refuse('a term of the equation does not fit the rank of its input');
    }
    return extra;
  });
  const names = terms.map((text, i) => namesOf(call, text, extras[i] as number));
  const most = Math.max(0, ...extras);
  if (right !== undefined) return { inputs: names, output: namesOf(call, right, most) };
  const all = names.flat();
  const once = all.filter((name) => !name.startsWith('.') && isSingle(all, name)).sort();
  return { inputs: names, output: [...namesOf(call, '...', most), ...once] };
}

const isSingle = (names: readonly string[], name: string): boolean =>
  names.indexOf(name) === names.lastIndexOf(name);

/** Where a name stands twice, the diagonal of both axes. */
function diagonal({ x, axes }: Term): Term {
  const again = axes.findIndex((name, i) => axes.indexOf(name) !== i);
  if (again < 0) return { x, axes };
  const first = axes.indexOf(axes[again] as string);
  const rest = axes.map((_, i) => i).filter((i) => i !== first && i !== again);
  const turned = build.permute(x, [first, again, ...rest]);
  const [n, m] = turned.shape as [Size, Size];
  const flat = build.reshape(turned, [size.multiply(n, m), ...turned.shape.slice(2)]);
  const at = positionAlong([n], 0);
  const picked = build.gather(flat, flatPlace([n, m], [at, at], [1]), 0);
  return diagonal({
    x: picked,
    axes: [axes[first] as string, ...rest.map((i) => axes[i] as string)],
  });
}

/** Sums over the axes that nobody asks for; axes of one element are dropped where others repeat. */
function reduced({ x, axes }: Term, keep: (name: string, extent: Size) => boolean): Term {
  const gone = axes.map((name, i) => !keep(name, x.shape[i] as Size));
  const places = gone.flatMap((is, i) => (is ? [i] : []));
  if (places.length === 0) return { x, axes };
  return { x: build.sum(x, places), axes: axes.filter((_, i) => !gone[i]) };
}

function multiply(a: Term, b: Term, needed: ReadonlySet<string>): Term {
  const shared = a.axes.filter((name) => b.axes.includes(name));
  const batch = shared.filter((name) => needed.has(name));
  const contracted = shared.filter((name) => !needed.has(name));
  const pair = (name: string): readonly [number, number] => [
    a.axes.indexOf(name),
    b.axes.indexOf(name),
  ];
  const x = build.contract(a.x, b.x, {
    batch: batch.map(pair),
    contracted: contracted.map(pair),
  });
  const free = (term: Term): readonly string[] =>
    term.axes.filter((name) => !shared.includes(name));
  return { x, axes: [...batch, ...free(a), ...free(b)] };
}

/** The operator: ai.onnx Einsum, numpy.einsum's rules. */
export function einsum(call: OperatorCall): Node {
  const inputs = call.tensors();
  const equation = parse(call, inputs);
  const { output } = equation;
  const known = new Set(equation.inputs.flat());
  if (output.some((name) => !known.has(name) || !isSingle(output, name))) {
    throw call.refuse('the result of the equation cannot be read');
  }
  const terms = inputs.map((x, i) => diagonal({ x, axes: equation.inputs[i] as string[] }));
  const wide = (name: string): boolean =>
    terms.some(({ x, axes }) => axes.includes(name) && x.shape[axes.indexOf(name)] !== 1);
  const elsewhere = (at: number): Set<string> =>
    new Set([...output, ...terms.flatMap(({ axes }, i) => (i === at ? [] : axes))]);
  const small = terms.map((term, i) => {
    const used = elsewhere(i);
    return reduced(term, (name, extent) => used.has(name) && (extent !== 1 || !wide(name)));
  });
  const joined = small.reduce((all, next, i) => {
    const later = small.slice(i + 1).flatMap(({ axes }) => axes);
    return multiply(all, next, new Set([...output, ...later]));
  });
  return build.permute(
    joined.x,
    output.map((name) => joined.axes.indexOf(name)),
  );
}
