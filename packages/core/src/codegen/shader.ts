/**
 * Says thread programs in WGSL. Each kernel is a source part of its own: bindings are numbered per
 * kernel, and WGSL shares module scope, so every name at module scope carries the kernel's name.
 */
import { refused } from '../base/errors.js';
import type { ComputeType, Feature, Target } from '../base/target.js';
import type { TileProgram } from '../kernel/tile.js';
import { entryOf } from './gpu.js';
import type { Entry, Language, Source } from './language.js';
import { elementType, memoriesOf, type ShaderMemory } from './shader-memory.js';
import { shaderPrelude, shaderType } from './shader-scalar.js';
import { type ShaderPrinter, uniformName, writeLine, writeStatements } from './shader-statement.js';
import { type WideName, wideTexts } from './shader-wide.js';
import {
  bundleCountName,
  bundleLaneName,
  bundleName,
  type ThreadProgram,
} from './thread-program.js';
import { mapThreads } from './threads.js';

/** Features by the names of the language. */
const extensions: Readonly<Record<Feature, string>> = { half: 'f16', bundles: 'subgroups' };

/** Threads of a group where each thread runs a task of its own. */
const scalarGroup = 16;

/**
 * Kernel i of a source binds its buffers at group 0, bindings 0, 1, … (the status word last), and
 * after them, where it has sizes, a uniform struct of i32. Groups are numbered x first over the
 * launched grid. On `threads` targets a group runs a task; on `vector` targets, which here are
 * scalar, each thread runs one, so that nothing is shared and nobody waits. Tasks beyond the last
 * leave.
 */
export const shaderLanguage: Language = {
  name: 'wgsl',
  emit(kernels: readonly TileProgram[], target: Target): Source {
    const isScalar = target.execution === 'vector';
    const programs = kernels.map((kernel) => mapThreads(kernel, target));
    const { features = [] } = target;
    const enabled = features.map((feature) => `enable ${extensions[feature]};`);
    const helpers = new Set<WideName>();
    const texts = programs.map((program) => kernelText(program, target, helpers));
    const group = [scalarGroup, 1, 1] as const;
    const entries = programs.map((program): Entry => {
      return isScalar ? { ...entryOf(program), group, sharedBytes: 0 } : entryOf(program);
    });
    return {
      language: 'wgsl',
      target: target.id,
      text: `${[...enabled, ...shaderPrelude, ...wideTexts(helpers), ...texts].join('\n')}\n`,
      entries,
    };
  },
};

/** Begins the part of a kernel; what stands before the first belongs to all. */
const partMark = '// kernel ';

/** A source's text as the part that all kernels need, and one part per kernel by its name. */
export function splitShader(text: string): {
  readonly common: string;
  readonly kernels: ReadonlyMap<string, string>;
} {
  const [common = '', ...parts] = text.split(`\n${partMark}`);
  const kernels = parts.map((part): [string, string] => {
    const end = part.indexOf('\n');
    return [part.slice(0, end), part.slice(end)];
  });
  return { common, kernels: new Map(kernels) };
}

function kernelText(program: ThreadProgram, target: Target, helpers: Set<WideName>): string {
  if (program.indexType !== 'i32') {
    throw refused('64-bit index arithmetic', 'WGSL has no 64-bit types');
  }
  const memories = memoriesOf(program, target);
  const isScalar = target.execution === 'vector';
  const p: ShaderPrinter = {
    kernel: program.name,
    target,
    helpers,
    memories,
    uniforms: new Set(),
    lines: [],
    indent: 1,
  };
  const declarations = program.buffers.map((b, i) => {
    const m = memories.get(b.name) as ShaderMemory;
    const access = b.access === 'read' && !m.atomic ? 'read' : 'read_write';
    const type = `array<${elementType(m)}>`;
    return `@group(0) @binding(${i}) var<storage, ${access}> ${m.name}: ${type};`;
  });
  let binding = program.buffers.length;
  const status = `${program.name}_status`;
  if (program.mayFail) {
    const at = `@group(0) @binding(${binding++})`;
    declarations.push(`${at} var<storage, read_write> ${status}: atomic<i32>;`);
  }
  if (program.sizes.length > 0) {
    const sizes = `${program.name}_sizes`;
    const members = program.sizes.map((size) => `${size}: i32`).join(', ');
    declarations.push(`struct ${sizes}_type { ${members} }`);
    declarations.push(`@group(0) @binding(${binding}) var<uniform> ${sizes}: ${sizes}_type;`);
    for (const size of program.sizes) writeLine(p, `let ${size} = ${sizes}.${size};`);
  }
  for (const s of program.shared) {
    const m = memories.get(s.name) as ShaderMemory;
    const array = `${m.name}: array<${elementType(m)}, ${s.length}>;`;
    if (isScalar) writeLine(p, `var ${array}`);
    else declarations.push(`var<workgroup> ${array}`);
  }
  const number = program.exactGrid
    ? 'block.x'
    : 'block.x + blocks.x * (block.y + blocks.y * block.z)';
  if (isScalar) {
    writeLine(p, `let task = i32((${number}) * ${scalarGroup}u + thread);`);
  } else {
    writeLine(p, 'let lane = i32(thread);');
    writeLine(p, `let task = i32(${number});`);
  }
  const start = p.lines.length;
  writeStatements(p, program.body);
  const bundled = p.lines.some((line) => line.includes('subgroup'));
  for (const dtype of p.uniforms) {
    declarations.push(`var<workgroup> ${uniformName(p, dtype)}: ${sharedWord(dtype)};`);
  }
  const builtins = [
    '@builtin(local_invocation_index) thread: u32',
    '@builtin(workgroup_id) block: vec3<u32>',
    '@builtin(num_workgroups) blocks: vec3<u32>',
    ...(bundled ? bundleBuiltins : []),
  ];
  if (bundled) p.lines.splice(start, 0, ...bundleLines);
  const group = isScalar ? scalarGroup : program.group;
  const head = `@compute @workgroup_size(${group})\nfn ${program.name}(`;
  const listed = builtins.map((builtin) => `\n    ${builtin}`).join(',');
  const mark = partMark + program.name;
  return [mark, ...declarations, `${head}${listed}) {`, ...p.lines, '}'].join('\n');
}

const bundleBuiltins = [
  '@builtin(subgroup_id) own_bundle: u32',
  '@builtin(num_subgroups) all_bundles: u32',
  '@builtin(subgroup_invocation_id) own_place: u32',
];
const bundleLines = [
  `  let ${bundleName} = i32(own_bundle);`,
  `  let ${bundleCountName} = i32(all_bundles);`,
  `  let ${bundleLaneName} = i32(own_place);`,
];

const sharedWord = (dtype: ComputeType): string => (dtype === 'bool' ? 'u32' : shaderType(dtype));
