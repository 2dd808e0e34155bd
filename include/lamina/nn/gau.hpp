#pragma once
// The gated attention unit: attention with one head and a gate, which is a whole layer without a feed-forward part; two
// stand for one Transformer layer. W. Hua et al., "Transformer Quality in Linear Time", ICML 2022.
#include <lamina/nn/chain.hpp>
#include <lamina/nn/dropout.hpp>
#include <lamina/nn/gated_rows.hpp>
#include <lamina/nn/key_value_cache.hpp>
#include <lamina/nn/layer_norm.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/offset_scale.hpp>
#include <lamina/nn/positions/log_length.hpp>
#include <lamina/nn/positions/relative_bias.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/rotary.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// How a unit's scores s = q k and biases b become weights over n tokens, of which a query sees n_i.
enum class GauFunction {
    relu2,          ///< relu(s / sqrt(width) + b)² / n_i: bert4keras
    relu2_paper,    ///< relu(s / n + b)²
    relu2_bias_in,  ///< relu((s + b) / n)²: FLASH-pytorch
    laplace,        ///< the Laplace distribution function of (s + b) / n
    softmax,        ///< softmax(s / sqrt(width) + b)
    softmax_plus    ///< softmax of that times log(n_i) / log(512), which keeps its entropy at any length
};

/// Options of GAU.
struct GauConfig {
    Index query_key_dim = 128;
    double expansion = 2;  ///< width of values and gate, in widths of the input
    GauFunction function = GauFunction::relu2;
    bool causal = false;
    double dropout = 0;         ///< of the weights
    bool relative_bias = true;  ///< T5's, learned; scaled by sqrt(width of the input) as FLASH-pytorch does
    Index rotary_width = 0;     ///< features of queries and keys that rotate by position; 0: none
    bool shift_tokens = false;  ///< half of the features come from the token before
    bool residual = true;
    LogLengthConfig log_length = {};  ///< of softmax_plus
};

/// y = (U * (A V)) W_o + x with U, V, Z = silu of projections of norm(x) and A the weights of two scaled copies of Z.
/// The weights' matrix is tiled away for all functions.
template <Real T = float, class Norm = LayerNorm<T>>
struct GAU {
    static constexpr std::string_view kind = "GAU";
    using Cache = KeyValueCache<T>;

    GauConfig options;
    Norm norm;
    Linear<T> to_hidden;  ///< values, then the gate
    Linear<T> to_qk;
    OffsetScale<T> offsetscale;  ///< of queries, of keys
    std::optional<RelativeBias<T>> rel_pos_bias;
    Linear<T> to_out;

    explicit GAU(Index width, const GauConfig& config = {})
        : options(config),
          norm(width),
          to_hidden(width, 2 * hidden(width, config)),
          to_qk(width, config.query_key_dim),
          offsetscale(config.query_key_dim, 2),
          to_out(hidden(width, config), width) {
        if (config.relative_bias)
            rel_pos_bias.emplace(1, RelativeBiasConfig{.causal = config.causal, .scale = std::sqrt(double(width))});
    }

    /// x [B, n, d]; `keep` [B, n] is true for tokens that are no padding. Throws ShapeError.
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Optional<bool, 2>& keep = {}) const {
        detail::check_keep("GAU", x, keep);
        if (may_fuse()) return detail::gated_members(x, keep, [this](auto&&... args) { in_pieces(args...); });
        const Parts p = project(x, 0);
        return finish(x, p.gate, attend(p.q, p.k, p.v, keep, 0, x.dim(1)));
    }
    /// New tokens behind those in `cache`: the last rows of a causal pass over all. Throws ValueError for functions
    /// that divide by the length, which changes with each token, and for shifted tokens.
    Tensor<T, 3> step(const Tensor<T, 3>& x, Cache& cache) const {
        require<ValueError>(options.causal && !options.shift_tokens && !by_length(),
                            "GAU: steps want a causal unit with a function that does not divide by the length");
        const Index before = cache.size();
        const Parts p = project(x, before);
        cache.append(p.k, p.v, 1);
        const auto all = [](const Tensor<T, 4>& t) { return squeeze(t, 1); };
        return finish(x, p.gate, attend(p.q, all(cache.keys()), all(cache.values()), {}, before, cache.size()));
    }

    static void members(auto& self, auto&& visit) {
        visit("norm", self.norm);
        visit("to_hidden", self.to_hidden);
        visit("to_qk", self.to_qk);
        visit("offsetscale", self.offsetscale);
        visit("rel_pos_bias", self.rel_pos_bias);
        visit("to_out", self.to_out);
    }

private:
    struct Parts {
        Tensor<T, 3> q, k, v, gate;
    };
    static Index hidden(Index width, const GauConfig& config) { return Index(double(width) * config.expansion); }
    bool by_length() const {
        return options.function == GauFunction::relu2_paper || options.function == GauFunction::relu2_bias_in ||
               options.function == GauFunction::laplace;
    }

    Parts project(const Tensor<T, 3>& x, Index first) const {
        const auto y = detail::normed_rows(norm, options.shift_tokens, x, 0, x.dim(1));
        const auto hidden = chain(y, to_hidden, SiLU{}), z = chain(y, to_qk, SiLU{});
        const Index e = hidden.dim(2) / 2;
        return {query(z, first), key(z, first), slice(hidden, 2, 0, e), slice(hidden, 2, e, 2 * e)};
    }
    Tensor<T, 3> query(const Tensor<T, 3>& z, Index first) const { return turned(offsetscale(z, 0), first); }
    Tensor<T, 3> key(const Tensor<T, 3>& z, Index first) const { return turned(offsetscale(z, 1), first); }
    Tensor<T, 3> turned(const Tensor<T, 3>& t, Index first) const {
        return options.rotary_width > 0 ? rotary(t, {.width = options.rotary_width, .offset = first}) : t;
    }

    /// Keys and values of all rows, then the rest piece by piece.
    void in_pieces(const Tensor<T, 3>& x, const OptionalTensor<bool, 2>& keep, T* to) const {
        const auto products = products_.of(to_hidden, to_out);
        const Index n = x.dim(1), d = x.dim(2), e = to_out.weight.dim(1), piece = detail::gated_piece;
        auto k = empty<T>(Shape{x.dim(0), n, options.query_key_dim}), v = empty<T>(Shape{x.dim(0), n, e});
        Tensor<T, 3> y, z;
        const auto open = [&](Index begin, Index end) {
            y = contiguous(detail::normed_rows(norm, options.shift_tokens, x, begin, end));
            z = chain(y, to_qk, SiLU{});
        };
        for (Index i = 0; i < n; i += piece) {
            const Index end = i + piece < n ? i + piece : n;
            open(i, end);
            view::slice(k, 1, i, end).assign(key(z, i));
            products.values(y, v.mutable_data() + i * e);
        }
        for (Index i = 0; i < n; i += piece) {
            const Index end = i + piece < n ? i + piece : n, seen = options.causal ? end : n;
            if (n > piece) open(i, end);
            const auto first = [&](const auto& t) { return view::slice(t, 1, 0, seen); };
            const auto mixed =
                attend(query(z, i), first(k), first(v), keep ? first(*keep) : OptionalTensor<bool, 2>(), i, n);
            products.close(y, mixed, options.residual ? x.data() + i * d : nullptr, to + i * d);
        }
    }

    /// Of queries at positions first, first + 1, … of n over keys from 0 on.
    Tensor<T, 3> attend(Tensor<T, 3> q, const Tensor<T, 3>& k, const Tensor<T, 3>& v,
                        const OptionalTensor<bool, 2>& keep, Index first, Index n) const {
        const Index keys = k.dim(1);
        AttentionMask<T> mask;
        if (keep) mask.keep = reshape(*keep, Shape{k.dim(0), Index(1), Index(1), keys});
        const double root = 1 / std::sqrt(double(q.dim(2))), length = n > 0 ? 1 / double(n) : 1;
        const GauFunction f = options.function;
        const bool softmax = f == GauFunction::softmax || f == GauFunction::softmax_plus;
        AttentionOptions how{.causal = options.causal ? Causal::bottom_right : Causal::none,
                             .scale = by_length() ? length : root,
                             .dropout = options.dropout,
                             .weighing = softmax                     ? Weighing::softmax
                                         : f == GauFunction::laplace ? Weighing::laplace
                                                                     : Weighing::relu_squared,
                             .average = f == GauFunction::relu2};
        const bool divided = f == GauFunction::relu2_bias_in || f == GauFunction::laplace;
        if (f == GauFunction::softmax_plus) {
            const Tensor<T, 3> scales = length_scales(q, keep, first, keys);
            q = q * scales;
            if (rel_pos_bias) mask.add = unsqueeze((*rel_pos_bias)(q.dim(1), keys, first), 0) * unsqueeze(scales, 1);
        } else if (rel_pos_bias) {
            mask.distance = rel_pos_bias->by_distance(q.dim(1), keys, first, divided ? length : 1);
        }
        return multi_head_attention(q, k, v, 1, mask, how);
    }
    /// log(n_i) / log(512) [B or 1, n, 1].
    Tensor<T, 3> length_scales(const Tensor<T, 3>& q, const OptionalTensor<bool, 2>& keep, Index first,
                               Index keys) const {
        const Index rows = q.dim(1), batch = keep ? q.dim(0) : 1;
        auto scales = empty<T>(Shape{batch, rows, Index(1)});
        for (Index b = 0; b < batch; ++b) {
            Index seen = 0, next = 0;
            for (Index i = 0; i < rows; ++i) {
                for (const Index end = options.causal ? first + i + 1 : keys; next < end; ++next)
                    seen += !keep || (*keep)(b, next);
                scales.mutable_data()[b * rows + i] = T(log_length_scale(seen, options.log_length));
            }
        }
        return scales;
    }
    Tensor<T, 3> finish(const Tensor<T, 3>& x, const Tensor<T, 3>& gate, const Tensor<T, 3>& mixed) const {
        const auto y = to_out(gate * mixed);
        return observed(*this, options.residual ? y + x : y);
    }

    detail::GatedProducts<T> products_;
};

}  // namespace lamina::inline LAMINA_ABI::nn
