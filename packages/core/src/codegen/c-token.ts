/** A word of an instruction set: what stands for a plain function of C where its builtin exists. */

export interface Token {
  /** The compiler's function that must exist. */
  readonly builtin: string;
  /** Statements over the parameter names of the plain function. */
  readonly body: string;
  /** The same for compilers that have another function. */
  readonly otherwise?: Token;
}

export type Tokens = Readonly<Record<string, Token>>;

export const token = (builtin: string, body: (call: string) => string): Token => ({
  builtin: `__builtin_ia32_${builtin}`,
  body: body(`__builtin_ia32_${builtin}`),
});

export type Entries = readonly (readonly [string, Token])[];

/** One row per element type of the same size: memory operations do not look at the type. */
export const each = (types: string, entries: (element: string) => Entries): Entries =>
  types.split(' ').flatMap(entries);
