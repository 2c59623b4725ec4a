/** Attention and transformer blocks (Vaswani et al., 2017), normalized before each part. */
import type { Tensor } from '@open-claw/core';
import { glorotUniform } from './initializers.js';
import type { Layer, Mode, Seeds } from './layer.js';
import { Linear, type LinearParameters } from './linear.js';
import { Dropout, LayerNorm, type ScaleBiasParameters } from './normalization.js';

export interface AttentionParameters {
  readonly query: LinearParameters;
  readonly key: LinearParameters;
  readonly value: LinearParameters;
  readonly output: LinearParameters;
}

export interface MultiHeadAttentionOptions {
  /** A position sees itself and what came before it. */
  readonly causal?: boolean;
  /** Heads of keys and values, each shared by several query heads; all where absent. */
  readonly keyHeads?: number;
  readonly bias?: boolean;
}

/** Self-attention over x[batch, time, width]. */
export class MultiHeadAttention implements Layer<AttentionParameters> {
  private readonly width: number;
  private readonly heads: number;
  private readonly keyHeads: number;
  private readonly causal: boolean;
  private readonly project: { readonly query: Linear; readonly key: Linear; readonly out: Linear };

  constructor(width: number, heads: number, options: MultiHeadAttentionOptions = {}) {
    const { causal = false, keyHeads = heads, bias = true } = options;
    this.width = width;
    this.heads = heads;
    this.keyHeads = keyHeads;
    this.causal = causal;
    const linear = (outputs: number): Linear =>
      new Linear(width, outputs, { bias, initializer: glorotUniform });
    const narrow = (width / heads) * keyHeads;
    this.project = { query: linear(width), key: linear(narrow), out: linear(width) };
  }

  init(seeds: Seeds): AttentionParameters {
    const { query, key, out } = this.project;
    return {
      query: query.init(seeds),
      key: key.init(seeds),
      value: key.init(seeds),
      output: out.init(seeds),
    };
  }

  apply(parameters: AttentionParameters, x: Tensor): Tensor {
    const { width, heads, keyHeads, causal, project } = this;
    const [batch, time] = x.shape as readonly [number, number];
    const depth = width / heads;
    const split = (value: Tensor, count: number): Tensor =>
      value.reshape(batch, time, count, depth).permute(0, 2, 1, 3);
    const query = split(project.query.apply(parameters.query, x), heads);
    const key = split(project.key.apply(parameters.key, x), keyHeads);
    const value = split(project.key.apply(parameters.value, x), keyHeads);
    const mixed = query.attention(key, value, { causal });
    const joined = mixed.permute(0, 2, 1, 3).reshape(batch, time, width);
    return project.out.apply(parameters.output, joined);
  }
}

export interface TransformerParameters {
  readonly attention: AttentionParameters;
  readonly attentionNorm: ScaleBiasParameters;
  readonly expand: LinearParameters;
  readonly shrink: LinearParameters;
  readonly networkNorm: ScaleBiasParameters;
}

export interface TransformerOptions extends MultiHeadAttentionOptions {
  /** Width of the network between; 4 · width where absent. */
  readonly hidden?: number;
  readonly dropout?: number;
}

/** x + attention(norm(x)), then that + network(norm(that)). */
export class TransformerBlock implements Layer<TransformerParameters> {
  private readonly attention: MultiHeadAttention;
  private readonly norm: LayerNorm;
  private readonly expand: Linear;
  private readonly shrink: Linear;
  private readonly dropout: Dropout;

  constructor(width: number, heads: number, options: TransformerOptions = {}) {
    const { hidden = 4 * width, dropout = 0 } = options;
    this.attention = new MultiHeadAttention(width, heads, options);
    this.norm = new LayerNorm(width);
    this.expand = new Linear(width, hidden);
    this.shrink = new Linear(hidden, width, { initializer: glorotUniform });
    this.dropout = new Dropout(dropout);
  }

  init(seeds: Seeds): TransformerParameters {
    return {
      attention: this.attention.init(seeds),
      attentionNorm: this.norm.init(),
      expand: this.expand.init(seeds),
      shrink: this.shrink.init(seeds),
      networkNorm: this.norm.init(),
    };
  }

  apply(parameters: TransformerParameters, x: Tensor, mode?: Mode): Tensor {
    const normal = this.norm.apply(parameters.attentionNorm, x);
    const seen = this.attention.apply(parameters.attention, normal);
    const mixed = x.add(this.dropout.apply([], seen, mode));
    const inner = this.expand.apply(
      parameters.expand,
      this.norm.apply(parameters.networkNorm, mixed),
    );
    const made = this.shrink.apply(parameters.shrink, inner.gelu());
    return mixed.add(this.dropout.apply([], made, mode));
  }
}
