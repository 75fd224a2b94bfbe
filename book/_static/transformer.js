/* The model of the book, as minimind_lite/model.py and generate.py have it: one token at a time, with
a cache of keys and values, so that a step reads every weight once. Names are those of the book. */
"use strict";
var MiniMind = globalThis.MiniMind || {};
{
  /** float16 numbers, as the bits of Uint16, to float32: sign, 5 bits of exponent, 10 of fraction. */
  function fromHalf(bits) {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    return bits & 0x8000 ? -size : size;
  }

  /** The weights of the file lite_weights.js: name -> {values, shape}. */
  function readWeights({ tensors, float16 }) {
    const bytes = Uint8Array.from(atob(float16), (character) => character.charCodeAt(0));
    const halves = new Uint16Array(bytes.buffer); // little-endian, like every device of today
    return Object.fromEntries(Object.entries(tensors).map(([name, { start, shape }]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return [name, { shape, values: Float32Array.from(halves.subarray(start, start + count), fromHalf) }];
    }));
  }

  /** x / sqrt(mean(x²) + eps) · weight. */
  function rmsNorm(x, weight, eps) {
    let sum = 0;
    for (const value of x) sum += value * value;
    const scale = 1 / Math.sqrt(sum / x.length + eps);
    return x.map((value, i) => value * scale * weight[i]);
  }

  /** weight · x; weight: {values, shape: [out, in]}, x: [in] -> [out]. */
  function linear({ values, shape: [out, width] }, x) {
    const y = new Float32Array(out);
    for (let row = 0, at = 0; row < out; row++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += values[at++] * x[i];
      y[row] = sum;
    }
    return y;
  }

  /** Turn pair (x[i], x[i + half]) by its angle, in place: halves are paired, not neighbours. */
  function rotate(x, position, theta) {
    const half = x.length / 2;
    for (let i = 0; i < half; i++) {
      const angle = position * theta ** (-i / half);
      const cos = Math.cos(angle), sin = Math.sin(angle), first = x[i], second = x[i + half];
      x[i] = first * cos - second * sin;
      x[i + half] = second * cos + first * sin;
    }
  }

  /** The heads of a vector: views of head_dim numbers each. */
  function heads(x, size) {
    return Array.from({ length: x.length / size }, (_, h) => x.subarray(h * size, (h + 1) * size));
  }

  function softmax(scores) {
    const greatest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - greatest));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  class Transformer {
    constructor(file) {
      this.config = file.config;
      this.weights = readWeights(file);
      this.ids = []; // the tokens in the cache
      this.cache = Array.from({ length: this.config.num_hidden_layers }, () => ({ keys: [], values: [] }));
    }

    /** Forget all but the first `length` tokens. */
    cut(length) {
      this.ids.length = length;
      for (const { keys, values } of this.cache) keys.length = values.length = length;
    }

    /** Logits [vocab_size] of what follows `ids`. What the cache begins with is not computed again. */
    read(ids) {
      let common = 0;
      while (common < this.ids.length && this.ids[common] === ids[common]) common++;
      this.cut(Math.min(common, ids.length - 1)); // the last token is read in any case: it gives the logits
      let x;
      for (const id of ids.slice(this.ids.length)) x = this.step(id);
      return linear(this.weights.embed_tokens, x); // the output head is tied to the embedding
    }

    /** Read one more token; returns the normalized state [hidden_size] from which logits are made. */
    step(id) {
      const { hidden_size, num_hidden_layers, rms_norm_eps, max_position_embeddings } = this.config;
      if (this.ids.length >= max_position_embeddings) throw new RangeError("the model's positions are used up.");
      let x = this.weights.embed_tokens.values.slice(id * hidden_size, (id + 1) * hidden_size);
      const add = (y) => { x = x.map((value, i) => value + y[i]); };
      for (let layer = 0; layer < num_hidden_layers; layer++) {
        const part = (name) => this.weights[`layers.${layer}.${name}`];
        add(this.attention(rmsNorm(x, part("input_layernorm").values, rms_norm_eps), part, this.cache[layer]));
        const seen = rmsNorm(x, part("post_attention_layernorm").values, rms_norm_eps);
        const gate = linear(part("mlp.gate_proj"), seen), up = linear(part("mlp.up_proj"), seen);
        add(linear(part("mlp.down_proj"), gate.map((g, i) => g / (1 + Math.exp(-g)) * up[i])));
      }
      this.ids.push(id);
      return rmsNorm(x, this.weights.norm.values, rms_norm_eps);
    }

    /** Grouped-query attention of the newest token to all so far, its own key and value included. */
    attention(x, part, { keys, values }) {
      const { head_dim, num_attention_heads, num_key_value_heads, rms_norm_eps, rope_theta } = this.config;
      const turned = (name) => heads(linear(part(`self_attn.${name}_proj`), x), head_dim).map((head) => {
        const normed = rmsNorm(head, part(`self_attn.${name}_norm`).values, rms_norm_eps);
        rotate(normed, this.ids.length, rope_theta);
        return normed;
      });
      const queries = turned("q");
      keys.push(turned("k"));
      values.push(heads(linear(part("self_attn.v_proj"), x), head_dim));
      const mixed = new Float32Array(num_attention_heads * head_dim);
      queries.forEach((query, h) => {
        const group = Math.floor(h * num_key_value_heads / num_attention_heads); // whose keys it shares
        const weights = softmax(keys.map((key) => dot(query, key[group]) / Math.sqrt(head_dim)));
        weights.forEach((weight, position) => {
          const value = values[position][group];
          for (let i = 0; i < head_dim; i++) mixed[h * head_dim + i] += weight * value[i];
        });
      });
      return linear(part("self_attn.o_proj"), mixed);
    }
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  /** Probabilities after temperature, top-k and top-p; temperature 0 puts all on the greatest logit. */
  function nextTokenProbabilities(logits, { temperature = 1, topK = null, topP = null } = {}) {
    const values = Array.from(logits);
    if (temperature === 0) {
      const first = values.indexOf(Math.max(...values));
      return values.map((_, id) => (id === first ? 1 : 0));
    }
    const probabilities = softmax(values.map((value) => value / temperature));
    const order = probabilities.map((_, id) => id).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    const kept = new Set(topK === null ? order : order.slice(0, topK));
    if (topP !== null) {
      const sum = [...kept].reduce((all, id) => all + probabilities[id], 0);
      let before = 0; // what the more likely tokens have together
      for (const id of [...kept]) {
        if (before >= topP && before > 0) kept.delete(id);
        before += probabilities[id] / sum;
      }
    }
    const sum = [...kept].reduce((all, id) => all + probabilities[id], 0);
    return probabilities.map((p, id) => (kept.has(id) ? p / sum : 0));
  }

  /** Draw an id; `random` gives numbers from 0 up to 1. */
  function draw(probabilities, random) {
    let left = random();
    for (let id = 0; id < probabilities.length; id++) {
      left -= probabilities[id];
      if (left < 0) return id;
    }
    return probabilities.findLastIndex((p) => p > 0); // rounding left a crumb
  }

  /** Continue a prompt: yields {id, logits} for each new token; ends after eosId, which is yielded. */
  function* generate(model, inputIds, { maxNewTokens, eosId, random = Math.random, ...sampling }) {
    const ids = [...inputIds];
    for (let n = 0; n < maxNewTokens; n++) {
      const logits = model.read(ids);
      const id = draw(nextTokenProbabilities(logits, sampling), random);
      ids.push(id);
      yield { id, logits };
      if (id === eosId) return;
    }
  }

  Object.assign(MiniMind, { Transformer, nextTokenProbabilities, draw, generate, softmax });
}
