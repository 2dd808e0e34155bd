#pragma once
// Layers one after another. Their types are known to the compiler, so that neighbours which fit (a convolution, its
// normalisation, a residual sum, its activation) run as one kernel call while nothing records; the numbers agree within
// rounding.
#include <lamina/nn/observe.hpp>

#include <tuple>

namespace lamina::inline LAMINA_ABI::nn {

/// Runs `x` through `layers` in order: what a block's operator() is made of, as in `chain(x, conv1, bn1, ReLU{}, conv2,
/// bn2, Plus{x}, ReLU{})`. A layer says by `absorbs<Next…>()` how many of its successors its `fused` takes along.
template <class X, class... Layers>
auto chain(const X& x, const Layers&... layers);

namespace detail {

template <class First, class... Rest>
constexpr std::size_t absorbed_count() {
    if constexpr (requires { First::template absorbs<Rest...>(); }) return First::template absorbs<Rest...>();
    else return 0;
}

template <class X, class First, class... Rest>
auto run_chain(const X& x, const First& first, const Rest&... rest) {
    constexpr std::size_t more = absorbed_count<First, Rest...>();
    if constexpr (more > 0)
        if (may_fuse()) {
            const auto all = std::tie(rest...);
            return [&]<std::size_t... Taken, std::size_t... Left>(std::index_sequence<Taken...>,
                                                                  std::index_sequence<Left...>) {
                return chain(first.fused(x, std::get<Taken>(all)...), std::get<more + Left>(all)...);
            }
            (std::make_index_sequence<more>{}, std::make_index_sequence<sizeof...(Rest) - more>{});
        }
    return chain(first(x), rest...);
}

}  // namespace detail

template <class X, class... Layers>
auto chain(const X& x, const Layers&... layers) {
    if constexpr (sizeof...(Layers) == 0) return x;
    else return detail::run_chain(x, layers...);
}

}  // namespace lamina::inline LAMINA_ABI::nn
