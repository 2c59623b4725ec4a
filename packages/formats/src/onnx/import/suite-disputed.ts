/** Cases whose stored answer contradicts the specification, each with the proof. */
const truncated =
  'the stored bf16 values cut off the low 16 bits of f32; conversions round to nearest even, as ' +
  'the later case node/test_cast_FLOAT_to_BFLOAT16 with the same input stores';

const countedBeyond =
  'the stored means divide by the elements that rounding up adds beyond the padding too; the ' +
  'later case of the same name in suite node, the same model and input, stores means without them';

const averagePool =
  'test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True@v1.15.0';

const notZero =
  'the stored imaginary parts of frequency 5 of 10 are 1.9e-7; the signal is real, and ' +
  'sin(2π·5·n/10) = sin(π·n) is 0 for every n, so that they are exactly 0';

export const disputedCases: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['v1.12.0', 'v1.15.0', 'v1.17.0', 'v1.18.0'].map((tag) => [
      `node-older-opsets/test_cast_FLOAT_to_BFLOAT16@${tag}`,
      truncated,
    ]),
  ),
  [`node-older-opsets/${averagePool}`]: countedBeyond,
  'node/test_dft_inverse_opset19': notZero,
};
