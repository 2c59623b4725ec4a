/** All operators that can be imported. A new family adds its table here. */
import { castOperators } from './casts.js';
import { constantOperators } from './constants.js';
import { controlOperators } from './control.js';
import { elementwiseOperators } from './elementwise.js';
import { lookupOperators } from './lookups.js';
import { activationOperators } from './nn-activations.js';
import { attentionOperators } from './nn-attention.js';
import { contributedOperators } from './nn-contributed.js';
import { convolutionOperators } from './nn-convolutions.js';
import { determinantOperators } from './nn-determinant.js';
import { linearAttentionOperators } from './nn-linear-attention.js';
import { lossOperators } from './nn-losses.js';
import { matrixOperators } from './nn-matmul.js';
import { mlOperators } from './nn-ml.js';
import { ngramOperators } from './nn-ngrams.js';
import { normalizationOperators } from './nn-normalizations.js';
import { poolingOperators } from './nn-pooling.js';
import { quantizedOperators } from './nn-quantized.js';
import { randomOperators } from './nn-random.js';
import { recurrentOperators } from './nn-recurrent.js';
import { regionOperators } from './nn-regions.js';
import { resizeOperators } from './nn-resize.js';
import { samplingOperators } from './nn-sampling.js';
import { signalOperators } from './nn-signal.js';
import { suppressionOperators } from './nn-suppression.js';
import { trainingOperators } from './nn-training.js';
import { reductionOperators } from './reductions.js';
import { mergeTables } from './registry.js';
import { scanOperators } from './scan.js';
import { sequenceOperators } from './sequences.js';
import { shapeOperators } from './shapes.js';
import { sliceOperators } from './slices.js';
import { stringOperators } from './strings.js';
import { uniqueOperators } from './unique.js';

export const operators = mergeTables(
  elementwiseOperators,
  castOperators,
  shapeOperators,
  sliceOperators,
  constantOperators,
  lookupOperators,
  reductionOperators,
  uniqueOperators,
  controlOperators,
  scanOperators,
  sequenceOperators,
  stringOperators,
  activationOperators,
  attentionOperators,
  linearAttentionOperators,
  matrixOperators,
  quantizedOperators,
  contributedOperators,
  convolutionOperators,
  poolingOperators,
  signalOperators,
  suppressionOperators,
  determinantOperators,
  trainingOperators,
  ngramOperators,
  mlOperators,
  normalizationOperators,
  recurrentOperators,
  randomOperators,
  resizeOperators,
  samplingOperators,
  regionOperators,
  lossOperators,
);
