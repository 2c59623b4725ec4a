/** Cases whose stored answer contradicts the specification, each with the proof. */
const truncated =
  'the stored bf16 values cut off the low 16 bits of f32; conversions round to nearest even, as ' +
  'the later case node/test_cast_FLOAT_to_BFLOAT16 with the same input stores';

export const disputedCases: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['v1.12.0', 'v1.15.0', 'v1.17.0', 'v1.18.0'].map((tag) => [
      `node-older-opsets/test_cast_FLOAT_to_BFLOAT16@${tag}`,
      truncated,
    ]),
  ),
};
