#pragma once
// Learned positions: a row of a table for each, up to a longest sequence.
#include <lamina/nn/init.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// x [..., n, width] plus rows offset … offset + n of `weight` [longest, width].
template <Real T = float>
struct LearnedPositions {
    static constexpr std::string_view kind = "LearnedPositions";
    Parameter<T, 2> weight;

    LearnedPositions(Index longest, Index width) : weight(Shape{longest, width}) {}
    /// Normal, standard deviation 0.02.
    void reset(random::Rng& rng) { normal_(weight, rng, 0, 0.02); }
    /// Throws ValueError for more positions than the table has.
    template <int R>
        requires(R >= 2)
    Tensor<T, R>
    operator()(const Tensor<T, R>& x, Index offset = 0) const {
        const Index end = offset + x.dim(R - 2);
        require<ValueError>(offset >= 0 && end <= weight.dim(0), "LearnedPositions: positions must lie in [0, ",
                            weight.dim(0), ") but end at ", end);
        return observed(*this, x + slice(weight, 0, offset, end));
    }
    static void members(auto& self, auto&& visit) { visit("weight", self.weight); }
};

}  // namespace lamina::inline LAMINA_ABI::nn
