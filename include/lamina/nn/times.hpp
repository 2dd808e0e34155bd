#pragma once
// Factors of channels, as a link of a chain: what a gate that looked at the whole image does to it.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Multiplies each channel of [N, C, H, W] by its factor of [N, C, 1, 1]: `chain(x, conv, Times{gate})`. A convolution
/// before it takes the product into its epilogue.
template <Real T>
struct Times {
    static constexpr std::string_view kind = "Times";
    Tensor<T, 4> factors;  ///< dense

    explicit Times(const Tensor<T, 4>& tensor) : factors(contiguous(tensor)) {}

    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        check(x.shape());
        return observed(*this, x * factors);
    }
    /// Throws ShapeError when images of this shape have other channels.
    void check(const Shape<4>& x) const {
        require(factors.shape() == Shape{x[0], x[1], Index(1), Index(1)},
                "Times: factors must have the shape [N, C, 1, 1] of the input (input ", x, ", factors ",
                factors.shape(), ")");
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
