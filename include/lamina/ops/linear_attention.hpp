#pragma once
// Attention without softmax, linear in the length: on features of queries and keys; whole sequences, causal ones, and
// token by token with a state of constant size.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/attention/linear_grad.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/key_lengths.hpp>

namespace lamina::inline LAMINA_ABI {

/// Where the heads stand in [B, h, n, d] (outside) and [B, n, h, d] (inside).
enum class HeadLayout { outside, inside };

/// Options of linear_attention.
struct LinearAttentionOptions {
    bool causal = false;    ///< query i sees keys up to i
    bool normalize = true;  ///< divide by the sum of similarities
    double eps = 1e-6;      ///< added to that sum
    double least = 0;       ///< and the least it is taken for
    double scale = 1;       ///< of the result
    Index chunk = 64;       ///< rows that a causal pass treats at once
    bool own_chunk = true;  ///< false: causal queries see only the chunks before their own
    HeadLayout heads = HeadLayout::outside;
    OptionalTensor<std::int64_t, 1> lengths = {};  ///< [B]: number of keys that count, 0 to m; the rest is padding
};

namespace detail {

template <class T>
kernels::HeadRows<T> linear_rows(T* data, const Strides<4>& s, HeadLayout layout) {
    if (layout == HeadLayout::inside) return {data, s[0], s[2], s[1]};
    return {data, s[0], s[1], s[2]};
}

}  // namespace detail

namespace detail {

/// linear_attention, with features or with what `map` makes features of.
template <Real T>
Tensor<T, 4> linear_attention(const Tensor<T, 4>& fq, const Tensor<T, 4>& fk, const Tensor<T, 4>& v,
                              const LinearAttentionOptions& options, const kernels::FeatureMap<T>& map) {
    const bool inside = options.heads == HeadLayout::inside;
    const int rows = inside ? 1 : 2, head = inside ? 2 : 1;
    const auto fits = [&](bool holds, const char* what) {
        require(holds, "linear_attention: ", what, " (query ", fq.shape(), ", key ", fk.shape(), ", value ", v.shape(),
                ")");
    };
    fits(fq.dim(3) == fk.dim(3), "query and key must have the same number of features");
    fits(fk.dim(rows) == v.dim(rows), "key and value must have the same number of rows");
    fits(fq.dim(0) == fk.dim(0) && fq.dim(0) == v.dim(0) && fq.dim(head) == fk.dim(head) && fq.dim(head) == v.dim(head),
         "batch and heads must be equal");
    fits(!options.causal || fq.dim(rows) == fk.dim(rows), "causal needs as many queries as keys");
    require<ValueError>(options.chunk >= 1, "linear_attention: chunk must be at least 1 but is ", options.chunk);
    const Index batch = fq.dim(0);
    const auto counts = key_lengths("linear_attention", options.lengths, batch, fk.dim(rows));
    const auto dense = [](const Tensor<T, 4>& x) { return x.strides()[3] == 1 || x.dim(3) <= 1 ? x : contiguous(x); };
    const auto q = dense(fq), k = dense(fk), values = dense(v);
    const kernels::LinearAttentionGeometry g{
        batch,          q.dim(head),       q.dim(rows),       k.dim(rows), q.dim(3),      values.dim(3),
        options.causal, options.own_chunk, options.normalize, options.eps, options.least, options.chunk};
    const auto in = [layout = options.heads](const T* data, const Strides<4>& s) {
        return detail::linear_rows(data, s, layout);
    };
    Shape<4> shape = q.shape();
    shape[3] = values.dim(3);
    auto y = empty<T>(shape);
    auto* const tape = autograd::recording(fq, fk, v);
    auto den = tape ? empty<T>(Shape{batch, g.heads, g.queries}) : Tensor<T, 3>();
    const kernels::LinearAttentionProblem<T> problem{g,
                                                     in(q.data(), q.strides()),
                                                     in(k.data(), k.strides()),
                                                     in(values.data(), values.strides()),
                                                     counts.defined() ? counts.data() : nullptr,
                                                     map};
    kernels::linear_attention_forward(problem,
                                      detail::linear_rows(y.mutable_data(), contiguous_strides(shape), options.heads),
                                      tape ? den.mutable_data() : nullptr);
    if (tape)
        tape->record("linear_attention", y,
                     [q = autograd::saved(q), k = autograd::saved(k), v = autograd::saved(values),
                      o = autograd::saved(y.detach()), den, counts, g, in, map, layout = options.heads](const T* dy) {
                         const auto read = [&](const auto& x) { return in(x.data(), x.tensor().strides()); };
                         kernels::LinearAttentionGradients<T> grads;
                         const auto want = [&](const auto& x, kernels::HeadRows<T>& to, bool& accumulate) {
                             const auto target = autograd::grad_target<T>(x.tensor().grad_link());
                             to = detail::linear_rows(target.data, contiguous_strides(x.shape()), layout);
                             accumulate = target.accumulate;
                         };
                         want(q, grads.q, grads.accumulate_q);
                         want(k, grads.k, grads.accumulate_k);
                         want(v, grads.v, grads.accumulate_v);
                         kernels::linear_attention_grad(
                             kernels::LinearAttentionProblem<T>{g, read(q), read(k), read(v),
                                                                counts.defined() ? counts.data() : nullptr, map},
                             read(o), den.data(), in(dy, contiguous_strides(o.shape())), grads);
                     });
    return options.scale != 1 ? y * T(options.scale) : y;
}

}  // namespace detail

/// O_i = sum_j s_ij v_j / (sum_j s_ij + eps) with s_ij = fq_i fk_j, for features `fq` [B, h, n, r], `fk` [B, h, m, r]
/// and `v` [B, h, m, e] of any strides: [B, h, n, e], or all of them with n before h. Nothing of size n m or n r e is
/// made, for gradients neither. Throws ShapeError, and ValueError for a chunk below 1.
template <Real T>
Tensor<T, 4> linear_attention(const Tensor<T, 4>& fq, const Tensor<T, 4>& fk, const Tensor<T, 4>& v,
                              const LinearAttentionOptions& options = {}) {
    return detail::linear_attention(fq, fk, v, options, {});
}

/// What a causal linear attention keeps of the tokens so far: sums over their keys and values.
template <Real T = float>
struct LinearAttentionState {
    Tensor<T, 4> products;  ///< [B, h, r, e]
    Tensor<T, 3> sums;      ///< [B, h, r]

    LinearAttentionState(Index batch, Index heads, Index features, Index value_width)
        : products(zeros<T>(Shape{batch, heads, features, value_width})),
          sums(zeros<T>(Shape{batch, heads, features})) {}

    /// Takes one token, features [B, h, r] and values [B, h, e], and gives its row of the causal result [B, h, e].
    /// Throws ShapeError. Takes no part in gradients.
    Tensor<T, 3> step(const Tensor<T, 3>& fq, const Tensor<T, 3>& fk, const Tensor<T, 3>& v,
                      const LinearAttentionOptions& options = {}) {
        const Index features = sums.dim(2), width = products.dim(3), heads = sums.dim(0) * sums.dim(1);
        require(fq.shape() == sums.shape() && fk.shape() == sums.shape() && v.dim(0) == sums.dim(0) &&
                    v.dim(1) == sums.dim(1) && v.dim(2) == width,
                "LinearAttentionState: the token must fit the state ", products.shape(), " (query ", fq.shape(),
                ", key ", fk.shape(), ", value ", v.shape(), ")");
        const auto q = contiguous(fq.detach()), k = contiguous(fk.detach()), value = contiguous(v.detach());
        auto y = zeros<T>(v.shape());
        T *const s = products.mutable_data(), *const z = sums.mutable_data(), *const out = y.mutable_data();
        parallel::for_range(heads, parallel::grain_for(features * width), [&](Index begin, Index end) {
            for (Index h = begin; h < end; ++h) {
                T den = T(options.eps);
                T* const o = out + h * width;
                for (Index f = 0; f < features; ++f) {
                    const T a = k.data()[h * features + f], b = q.data()[h * features + f];
                    T* const row = s + (h * features + f) * width;
                    den += b * (z[h * features + f] += a);
                    for_each_lane(width, a, b, value.data() + h * width, row, o);
                }
                if (den < T(options.least)) den = T(options.least);
                const T factor = T(options.scale) / (options.normalize ? den : T(1));
                for (Index i = 0; i < width; ++i) o[i] *= factor;
            }
        });
        return y;
    }

private:
    /// row += a v, then o += b row.
    static void for_each_lane(Index n, T a, T b, const T* v, T* row, T* o) {
        using V = simd::Vec<T>;
        simd::row<simd::native, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const V sum = fma(simd::load_count(v + i, count), V(a), simd::load_count(row + i, count));
            simd::store_count(row + i, sum, count);
            simd::store_count(o + i, fma(sum, V(b), simd::load_count(o + i, count)), count);
        });
    }
};

}  // namespace lamina::inline LAMINA_ABI
