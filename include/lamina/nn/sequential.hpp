#pragma once
// Layers one after another. Their types are known to the compiler, so that neighbours which fit (a convolution, its
// normalisation, its activation) run as one kernel call while nothing records; the numbers agree within rounding.
#include <lamina/nn/observe.hpp>

#include <tuple>

namespace lamina::inline LAMINA_ABI::nn {

namespace detail {

/// How many of the layers after the first its epilogue can absorb; a layer says so by `absorbs<Next…>()`.
template <class First, class... Rest>
constexpr std::size_t absorbed_count() {
    if constexpr (requires { First::template absorbs<Rest...>(); }) return First::template absorbs<Rest...>();
    else return 0;
}

}  // namespace detail

/// `Sequential net{Conv2d(1, 8, {.kernel = 3}), ReLU{}, Flatten{}, Linear(…)}`; names are the positions 0, 1, 2 …
template <class... Layers>
struct Sequential {
    std::tuple<Layers...> layers;

    explicit Sequential(Layers... in_order) : layers(std::move(in_order)...) {}

    template <Element T, int R>
    auto operator()(const Tensor<T, R>& x) const {
        return run<0>(x);
    }
    /// The layer at position `I`.
    template <std::size_t I>
    auto& get() {
        return std::get<I>(layers);
    }
    template <std::size_t I>
    const auto& get() const {
        return std::get<I>(layers);
    }
    static void members(auto& self, auto&& visit) {
        [&]<std::size_t... I>(std::index_sequence<I...>) { (visit(message(Index(I)), std::get<I>(self.layers)), ...); }
        (std::index_sequence_for<Layers...>{});
    }

private:
    template <std::size_t I, class X>
    auto run(const X& x) const {
        if constexpr (I == sizeof...(Layers)) {
            return x;
        } else {
            constexpr std::size_t more = absorbed<I>(std::make_index_sequence<sizeof...(Layers) - I>{});
            if constexpr (more > 0)
                if (may_fuse()) return [&]<std::size_t... J>(std::index_sequence<J...>) {
                        return run<I + 1 + more>(std::get<I>(layers).fused(x, std::get<I + 1 + J>(layers)...));
                    }
            (std::make_index_sequence<more>{});
            return run<I + 1>(std::get<I>(layers)(x));
        }
    }
    template <std::size_t I, std::size_t... J>
    static constexpr std::size_t absorbed(std::index_sequence<J...>) {
        return detail::absorbed_count<std::tuple_element_t<I + J, std::tuple<Layers...>>...>();
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
