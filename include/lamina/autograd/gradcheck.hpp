#pragma once
// Gradients against central differences: for tests of ops, the library's and its users' own.
#include <lamina/autograd/tape.hpp>
#include <lamina/core/create.hpp>

#include <tuple>

namespace lamina::inline LAMINA_ABI::autograd {

namespace detail {

/// Weights of the scalar that gradcheck differentiates: fixed, irregular, in [-1, 1].
inline double check_weight(Index i) {
    const double x = double(i + 1) * 0.6180339887498949;
    return 2 * (x - double(Index(x))) - 1;
}

}  // namespace detail

/// Largest |analytic - numeric| / max(1, |numeric|) over all elements of all gradients of L = sum of y * w, where
/// y = f(x…) and w are fixed weights. `x` are double tensors of any strides; f takes tensors of their types. Call it
/// away from kinks; a right gradient gives less than about 1e-7 (step 1e-6, central differences).
template <class F, int... R>
double gradcheck(F&& f, const Tensor<double, R>&... x) {
    std::tuple<Tensor<double, R>...> inputs(x...);
    const auto in_all = [&](auto&& g) { std::apply([&](auto&... t) { (g(t), ...); }, inputs); };
    in_all([](auto& t) {  // own elements, the strides kept, since the differences write to them
        auto copy = t.clone();
        if (!t.is_contiguous()) {
            using Same = std::decay_t<decltype(t)>;
            Index span = 1;
            for (int d = 0; d < Same::rank; ++d) span += (t.dim(d) - 1) * t.strides()[std::size_t(d)];
            auto base = empty<double>(Shape{span});
            Same strided(base.storage(), base.mutable_data(), t.shape(), t.strides());
            strided.assign(copy);
            copy = strided;
        }
        t = leaf(copy);
    });
    {
        Tape tape;
        auto y = std::apply(f, inputs);
        auto dy = empty_like(y);
        for (Index i = 0; i < dy.numel(); ++i) dy.mutable_data()[i] = detail::check_weight(i);
        tape.backward(y, dy);
    }
    const auto loss = [&] {
        const auto y = std::apply(f, inputs).clone();
        double total = 0;
        for (Index i = 0; i < y.numel(); ++i) total += y.data()[i] * detail::check_weight(i);
        return total;
    };
    double worst = 0;
    in_all([&](auto& t) {
        const bool reached = has_grad(t);
        const auto analytic = reached ? grad(t) : zeros_like(t);
        Index flat = 0;
        lamina::detail::walk(t.shape(), t.strides(), t.strides(), [&](Index at, Index, Index n, Index step, Index) {
            for (Index i = 0; i < n; ++i, ++flat) {
                double* element = t.mutable_data() + at + i * step;
                const double value = *element, h = 1e-6;
                *element = value + h;
                const double above = loss();
                *element = value - h;
                const double below = loss();
                *element = value;
                const double numeric = (above - below) / (2 * h), error = analytic.data()[flat] - numeric;
                const double relative = (error < 0 ? -error : error) / std::max(1.0, numeric < 0 ? -numeric : numeric);
                worst = relative <= worst ? worst : relative;  // a NaN is the worst
            }
        });
    });
    return worst;
}

}  // namespace lamina::inline LAMINA_ABI::autograd
