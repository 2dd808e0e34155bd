#pragma once
// Several cheap copies of one projection: each feature scaled and shifted, as queries and keys of gated attention
// units.
#include <lamina/nn/init.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// head(x, h) = x * gamma[h] + beta[h]; names are FLASH-pytorch's OffsetScale's.
template <Real T = float>
struct OffsetScale {
    static constexpr std::string_view kind = "OffsetScale";
    Parameter<T, 2> gamma, beta;  ///< [heads, width]

    OffsetScale(Index width, Index heads) : gamma(Shape{heads, width}), beta(Shape{heads, width}) {}
    /// gamma normal with standard deviation 0.02, beta 0.
    void reset(random::Rng& rng) {
        normal_(gamma, rng, 0, 0.02);
        beta.fill(T(0));
    }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x, Index head) const {
        return observed(*this, map([](auto a, auto g, auto b) LAMINA_INLINE_LAMBDA { return a * g + b; }, x,
                                   row(gamma, head), row(beta, head)));
    }
    static void members(auto& self, auto&& visit) {
        visit("gamma", self.gamma);
        visit("beta", self.beta);
    }

private:
    static Tensor<T, 1> row(const Tensor<T, 2>& table, Index head) {
        return reshape(slice(table, 0, head, head + 1), Shape{table.dim(1)});
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
