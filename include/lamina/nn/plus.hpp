#pragma once
// The sum of a residual connection, as a link of a chain.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Adds `addend`, of the same shape as what arrives: `chain(x, conv, bn, Plus{x}, ReLU{})`. A convolution before it
/// takes the sum into its epilogue.
template <Real T, int R>
struct Plus {
    static constexpr std::string_view kind = "Plus";
    Tensor<T, R> addend;  ///< dense

    explicit Plus(const Tensor<T, R>& tensor) : addend(contiguous(tensor)) {}

    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        require(x.shape() == addend.shape(), "Plus: both must have the same shape (input ", x.shape(), ", addend ",
                addend.shape(), ")");
        return observed(*this, x + addend);
    }
};

template <class L>
inline constexpr bool is_plus = false;
template <Real T, int R>
inline constexpr bool is_plus<Plus<T, R>> = true;

}  // namespace lamina::inline LAMINA_ABI::nn
