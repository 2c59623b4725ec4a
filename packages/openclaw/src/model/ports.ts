/** Inputs and outputs of a model as a user sees them. */
import type { DType } from '@open-claw/core/face';
import type { Dimension, ValueInfo, ValueType } from '@open-claw/formats';
import { dtypeOfNumber, type ImportedModel, type ModelProto, type Slot } from '@open-claw/formats';

/** A name from the file is untrusted text: clean it before printing. */
export interface ModelPort {
  readonly name: string;
  readonly kind: 'tensor' | 'sequence' | 'optional' | 'other';
  /** Of the tensor, or of the tensors inside; undefined where the file does not say. */
  readonly dtype: DType | undefined;
  /** Numbers, names of sizes, and null where a size has no name; undefined: unknown rank. */
  readonly shape: readonly Dimension[] | undefined;
}

export type Sizes = Readonly<Record<string, number>>;

/** Inputs that a caller gives: those without an initializer. */
export function givenInputs(proto: ModelProto): readonly ValueInfo[] {
  const initialized = new Set(proto.graph.initializers.map((each) => each.name));
  return proto.graph.inputs.filter((each) => !initialized.has(each.name));
}

/** A port as the file declares it, with sizes that are known put in. */
export function portOf({ name, type }: ValueInfo, sizes: Sizes = {}): ModelPort {
  const tensor = tensorTypeOf(type);
  if (tensor === undefined) return { name, kind: 'other', dtype: undefined, shape: undefined };
  const kind = type?.kind === 'sequence' || type?.kind === 'optional' ? type.kind : 'tensor';
  const known = (size: Dimension, axis: number): Dimension =>
    typeof size === 'number' ? size : (sizes[size ?? ''] ?? sizes[`${name}.${axis}`] ?? size);
  const dtype = dtypeOfNumber(tensor.dataType) ?? undefined;
  return { name, kind, dtype, shape: tensor.shape?.map(known) };
}

function tensorTypeOf(type: ValueType | null) {
  let at = type;
  while (at?.kind === 'sequence' || at?.kind === 'optional') at = at.element;
  return at?.kind === 'tensor' ? at : undefined;
}

/** An output: the file's names of sizes, and numbers where the import found them. */
export function outputPort(info: ValueInfo, sizes: Sizes, slot: Slot | undefined): ModelPort {
  const port = portOf(info, sizes);
  if (slot?.kind !== 'tensor') return port;
  const shape = slot.shape.map((size, axis) =>
    typeof size === 'number' ? size : namedSize(port.shape?.[axis]),
  );
  return { ...port, kind: 'tensor', dtype: slot.dtype, shape };
}

const namedSize = (size: Dimension | undefined): Dimension =>
  typeof size === 'string' && size !== '' ? size : null;

export function outputPorts(
  proto: ModelProto,
  sizes: Sizes,
  imported: ImportedModel | undefined,
): readonly ModelPort[] {
  return proto.graph.outputs.map((info) => {
    const value = imported?.outputs.find((each) => each.name === info.name);
    return outputPort(info, sizes, value?.slot);
  });
}
