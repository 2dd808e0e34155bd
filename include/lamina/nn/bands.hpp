#pragma once
// Chains of convolutions in bands of rows: where every layer is a pointwise or a depthwise convolution with what it
// takes along, the wide maps between them never leave the second-level cache.
#include <lamina/kernels/conv/bands.hpp>
#include <lamina/nn/chain.hpp>
#include <lamina/nn/conv.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// chain(x, conv, layers…) of convolutions, each with the normalisation, sum and activation that follow it. While
/// nothing records, pointwise and depthwise ones of large maps run together in bands of rows.
template <Real T, class... Layers>
Tensor<T, 4> chain_in_bands(const Tensor<T, 4>& x, const Layers&... layers);

namespace detail {

/// The stages so far, and where they begin.
template <class T>
struct BandStages {
    const Tensor<T, 4>& x;
    kernels::BandStage<T> stages[kernels::detail::BandPolicy::most_stages];
    Index count = 0;
};

/// Elements of the maps between the convolutions among these layers of images of this shape.
template <class First, class... Rest>
Index elements_between(const Shape<4>& shape, const First& first, const Rest&... rest) {
    if constexpr (sizeof...(Rest) == absorbed_count<First, Rest...>()) return 0;
    else if constexpr (requires { first.options.groups; }) {
        const auto g = conv2d_geometry(shape, first.weight.shape(), first.options);
        const Shape<4> result{g.batch, g.out_channels, g.out_h, g.out_w};
        return result.numel() + elements_between(result, rest...);
    } else return elements_between(shape, rest...);  // what the convolution before takes along
}

/// Adds the next convolution and what it takes along, and the rest, and runs them all; undefined when they do not fit.
template <class T, class First, class... Rest>
Tensor<T, 4> run_bands(BandStages<T>& bands, const Shape<4>& shape, const First& first, const Rest&... rest) {
    constexpr std::size_t more = absorbed_count<First, Rest...>();
    const auto all = std::tie(rest...);
    return [&]<std::size_t... Taken, std::size_t... Left>(std::index_sequence<Taken...>, std::index_sequence<Left...>) {
        const auto stage = first.stage(shape, std::get<Taken>(all)...);
        const auto& g = stage.geometry;
        const bool zeros = first.options.padding_mode == PadMode::constant;
        bands.stages[bands.count++] = {g, zeros ? &stage.weights->value.packed : nullptr,
                                       kernels::conv_finish<simd::native, T>(stage.epilogue)};
        const Shape<4> result{g.batch, g.out_channels, g.out_h, g.out_w};
        if constexpr (sizeof...(Left) > 0) {
            return run_bands(bands, result, std::get<more + Left>(all)...);
        } else {
            if (!kernels::conv_bands_fit(bands.stages, bands.count)) return Tensor<T, 4>();
            const auto x = contiguous(bands.x);
            auto y = result_for<T>(result, std::get<Taken>(all)...);
            kernels::conv_bands_forward(bands.stages, bands.count, x.data(), y.mutable_data());
            return y;
        }
    }
    (std::make_index_sequence<more>{}, std::make_index_sequence<sizeof...(Rest) - more>{});
}

}  // namespace detail

template <Real T, class... Layers>
Tensor<T, 4> chain_in_bands(const Tensor<T, 4>& x, const Layers&... layers) {
    const auto bytes = [&] { return detail::elements_between(x.shape(), layers...) * Index(sizeof(T)); };
    if (may_fuse() && kernels::conv_bands_pay(bytes())) {
        detail::BandStages<T> bands{x, {}};
        if (auto y = detail::run_bands(bands, x.shape(), layers...); y.defined()) return y;
    }
    return chain(x, layers...);
}

}  // namespace lamina::inline LAMINA_ABI::nn
