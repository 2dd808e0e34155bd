#pragma once
// FLASH-quad's gated attention unit by the names of JunnYu/FLASHQuad_pytorch: one projection, squared ReLU over a
// fixed length, and a learned bias for every distance.
#include <lamina/nn/gau.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/matmul.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// x / sqrt(mean(x²) + eps) times one learned number.
template <Real T = float>
struct RmsScale {
    static constexpr std::string_view kind = "RmsScale";
    Parameter<T, 1> scala;  ///< [1]
    double eps;

    explicit RmsScale(Index, double epsilon = 1e-5) : scala(ones<T>(Shape{1})), eps(epsilon) {}
    void reset(random::Rng&) { scala.fill(T(1)); }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return nn::observed(*this, rms_norm(x, Shape{x.dim(R - 1)}, Optional<T, 1>(), eps) * scala);
    }
    static void members(auto& self, auto&& visit) { visit("scala", self.scala); }
};

/// Options of FlashQuadUnit.
struct FlashQuadConfig {
    Index query_key_dim = 128;
    double expansion = 2;
    Index longest = 512;  ///< scores are divided by it; the table of biases serves lengths up to it
    bool causal = false;
};

/// x + (U * (A V)) W_o with A = relu(Q K^T / longest + bias)². The bias of distance j - i is a number of the table `w`,
/// or, where `longest` is above 512, the product of `a` turned by i and `b` turned by j. `Norm` is nn::LayerNorm or
/// RmsScale.
template <Real T = float, class Norm = nn::LayerNorm<T>>
struct FlashQuadUnit {
    static constexpr std::string_view kind = "FlashQuadUnit";

    FlashQuadConfig options;
    Index hidden;
    nn::Linear<T> uv;              ///< gate, values, then queries and keys
    Parameter<T, 2> weight, bias;  ///< [2, query_key_dim] of queries, of keys
    nn::Linear<T> o;
    Norm norm;
    Parameter<T, 1> w;     ///< [2 longest - 1]
    Parameter<T, 2> a, b;  ///< [1, query_key_dim]

    explicit FlashQuadUnit(Index width, const FlashQuadConfig& config = {})
        : options(config),
          hidden(Index(double(width) * config.expansion)),
          uv(width, 2 * hidden + config.query_key_dim),
          weight(Shape{Index(2), config.query_key_dim}),
          bias(Shape{Index(2), config.query_key_dim}),
          o(hidden, width),
          norm(width),
          w(Shape{2 * config.longest - 1}),
          a(Shape{Index(1), config.query_key_dim}),
          b(Shape{Index(1), config.query_key_dim}) {}
    /// Normal numbers of deviation 0.02, biases 0.
    void reset(random::Rng& rng) {
        normal_(weight, rng, 0, 0.02);
        bias.fill(T(0));
        normal_(w, rng, 0, 0.02);
        normal_(a, rng, 0, 0.02);
        normal_(b, rng, 0, 0.02);
    }

    /// x [B, n, width]; `keep` [B, n] is true for tokens that are no padding; padding stays as it is but for the bias
    /// of `o`. Throws ValueError for a sequence above `longest`.
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Optional<bool, 2>& keep = {}) const {
        const Index n = x.dim(1), e = hidden, s = options.query_key_dim;
        require<ValueError>(n <= options.longest, "FlashQuadUnit: the sequence must have at most ", options.longest,
                            " tokens but has ", n);
        const auto all = nn::chain(norm(x), uv, nn::SiLU{});
        const auto z = slice(all, 2, 2 * e, 2 * e + s);
        const auto head = [&](Index i) {
            const auto row = [i](const Tensor<T, 2>& t) { return reshape(slice(t, 0, i, i + 1), Shape{t.dim(1)}); };
            return rotary(z * row(weight) + row(bias), {.pairs = RotaryPairs::halves});
        };
        AttentionMask<T> mask;
        mask.add = unsqueeze(unsqueeze(position_bias(n), 0), 0);
        if (keep) mask.keep = both_kept(*keep);
        const auto mixed = multi_head_attention(head(0), head(1), slice(all, 2, e, 2 * e), 1, mask,
                                                {.causal = options.causal ? Causal::top_left : Causal::none,
                                                 .scale = 1 / double(options.longest),
                                                 .weighing = Weighing::relu_squared});
        return nn::observed(*this, o(slice(all, 2, 0, e) * mixed) + x);
    }

    static void members(auto& self, auto&& visit) {
        visit("uv", self.uv);
        visit("weight", self.weight);
        visit("bias", self.bias);
        visit("o", self.o);
        visit("LayerNorm", self.norm);
        visit("w", self.w);
        visit("a", self.a);
        visit("b", self.b);
    }

private:
    /// [n, n].
    Tensor<T, 2> position_bias(Index n) const {
        const Index longest = options.longest;
        if (longest > 512) {
            const auto turned = [&](const Tensor<T, 2>& t) {
                return rotary(expand(t, Shape{n, t.dim(1)}), {.pairs = RotaryPairs::halves});
            };
            return matmul(turned(a), transpose(turned(b), 0, 1));
        }
        auto place = empty<std::int64_t>(Shape{n, n});
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < n; ++j) place.mutable_data()[i * n + j] = j - i + longest - 1;
        return squeeze(embedding(place, unsqueeze(w, 1)), 2);
    }
    /// [B, 1, n, n]: where neither query nor key is padding.
    static Tensor<bool, 4> both_kept(const Tensor<bool, 2>& keep) {
        const Index batch = keep.dim(0), n = keep.dim(1);
        const auto row = contiguous(keep);
        auto mask = empty<bool>(Shape{batch, Index(1), n, n});
        for (Index i = 0; i < batch * n; ++i)
            for (Index j = 0; j < n; ++j) mask.mutable_data()[i * n + j] = row.data()[i] && row.data()[i / n * n + j];
        return mask;
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
