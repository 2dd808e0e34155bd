#pragma once
// Sinusoidal positions: fixed, of any length, with a learned scale where wanted.
#include <lamina/core/create.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn {

/// How sines and cosines lie in a position's features.
enum class SinusoidOrder {
    interleaved,  ///< sin, cos, sin, cos, …: A. Vaswani et al., 2017
    halves        ///< all sines, then all cosines
};

/// Options of sinusoidal_positions.
struct SinusoidConfig {
    SinusoidOrder order = SinusoidOrder::interleaved;
    double base = 10000;
    Index offset = 0;  ///< the first position
};

/// [n, width]: sines and cosines of p / base^(2 i / width). Throws ValueError for an odd width.
template <Real T = float>
Tensor<T, 2> sinusoidal_positions(Index n, Index width, const SinusoidConfig& config = {}) {
    require<ValueError>(width % 2 == 0, "sinusoidal_positions: width must be even but is ", width);
    auto y = empty<T>(Shape{n, width});
    const bool halves = config.order == SinusoidOrder::halves;
    for (Index i = 0; i < width / 2; ++i) {
        const double frequency = std::pow(config.base, -2.0 * double(i) / double(width));
        T* sine = y.mutable_data() + (halves ? i : 2 * i);
        T* cosine = sine + (halves ? width / 2 : 1);
        for (Index p = 0; p < n; ++p) {
            sine[p * width] = T(std::sin(double(config.offset + p) * frequency));
            cosine[p * width] = T(std::cos(double(config.offset + p) * frequency));
        }
    }
    return y;
}

/// x [..., n, width] plus scale times sinusoidal positions; one learned number weighs them against the embeddings.
/// FLASH-pytorch's ScaledSinuEmbedding.
template <Real T = float>
struct ScaledSinusoid {
    static constexpr std::string_view kind = "ScaledSinusoid";
    SinusoidConfig options;
    Parameter<T, 1> scale;  ///< [1]

    explicit ScaledSinusoid(const SinusoidConfig& config = {.order = SinusoidOrder::halves})
        : options(config),
          scale(ones<T>(Shape{1})) {}
    void reset(random::Rng&) { scale.fill(T(1)); }
    /// [n, width].
    Tensor<T, 2> positions(Index n, Index width) const { return sinusoidal_positions<T>(n, width, options) * scale; }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, x + positions(x.dim(R - 2), x.dim(R - 1)));
    }
    static void members(auto& self, auto&& visit) { visit("scale", self.scale); }
};

}  // namespace lamina::inline LAMINA_ABI::nn
