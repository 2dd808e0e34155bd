#pragma once
// Rotary position embedding: queries and keys turned by their positions, so that their products depend on distances.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/create.hpp>
#include <lamina/kernels/rotary.hpp>
#include <lamina/ops/contiguous.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI {

/// Which features form a pair. Weights trained with the one do not fit the other.
enum class RotaryPairs {
    interleaved,  ///< (x0, x1), (x2, x3), …: RoFormer, GPT-J
    halves        ///< (x0, x[d/2]), …: GPT-NeoX, LLaMA
};

/// Options of rotary.
struct RotaryOptions {
    RotaryPairs pairs = RotaryPairs::interleaved;
    Index width = 0;        ///< features that rotate, the first ones; 0: all
    double base = 10000;    ///< pair i turns by base^(-2 i / width) a position
    Index offset = 0;       ///< position of the first row
    int sequence_dim = -2;  ///< which dimension counts positions: -3 for [B, n, h, d]
};

/// `x` [..., n, d] with its pairs rotated by their positions; norms stay. Throws ValueError for an odd width or one
/// above d. J. Su et al., "RoFormer", 2021.
template <Real T, int R>
    requires(R >= 2)
Tensor<T, R> rotary(const Tensor<T, R>& x, const RotaryOptions& options = {}) {
    const Index features = x.shape()[R - 1], width = options.width > 0 ? options.width : features;
    require<ValueError>(width % 2 == 0 && width <= features, "rotary: width must be even and at most ", features,
                        " but is ", width);
    const int dim = normalize_dim("rotary", options.sequence_dim, R);
    require<ValueError>(dim < R - 1, "rotary: sequence_dim must lie before the features but is ", dim);
    const Shape<R>& s = x.shape();
    const kernels::RotaryGeometry g{s.product(0, dim), s[dim],    s.product(dim + 1, R - 1),
                                    features,          width / 2, options.pairs == RotaryPairs::halves};
    auto frequencies = empty<double>(Shape{g.pairs});
    for (Index i = 0; i < g.pairs; ++i)
        frequencies.mutable_data()[i] = std::pow(options.base, -2.0 * double(i) / double(width));
    auto cosine = empty<T>(Shape{g.positions, g.pairs}), sine = empty<T>(cosine.shape());
    kernels::rotary_table(g.positions, g.pairs, double(options.offset), frequencies.data(), cosine.mutable_data(),
                          sine.mutable_data());
    auto y = empty<T>(s);
    kernels::rotary(g, cosine.data(), sine.data(), contiguous(x).data(), y.mutable_data(), false, false);
    if (auto* tape = autograd::recording(x))
        tape->record("rotary", y, [link = x.grad_link(), g, cosine, sine](const T* dy) {
            if (const auto dx = autograd::grad_target<T>(link))
                kernels::rotary(g, cosine.data(), sine.data(), dy, dx.data, true, dx.accumulate);
        });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
