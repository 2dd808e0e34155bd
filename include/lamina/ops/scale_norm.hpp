#pragma once
// ScaleNorm over the last dimension: RMS norm with one gain for all features.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/scale_norm.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

/// `x` [..., d] * `gain` [1] / max(|x| / sqrt(d), eps), |x| the norm of the last dimension. Throws ShapeError.
/// (Nguyen, Salazar 2019)
template <Real T, int R>
Tensor<T, R> scale_norm(const Tensor<T, R>& x, const std::type_identity_t<Tensor<T, 1>>& gain, double eps = 1e-5) {
    static_assert(R >= 1, "scale_norm: the input has at least one dimension");
    require(gain.shape() == Shape{1}, "scale_norm: gain must have shape [1] but has ", gain.shape());
    const auto input = contiguous(x);
    const Index n = x.shape()[R - 1], rows = x.shape().product(0, R - 1);
    auto y = empty<T>(x.shape());
    if (y.numel()) kernels::scale_norm_forward(rows, n, input.data(), *gain.data(), eps, y.mutable_data());
    if (auto* tape = autograd::recording(x, gain))
        tape->record(
            "scale_norm", y, [rows, n, eps, x = autograd::saved(input), gain = autograd::saved(gain)](const T* dy) {
                const auto dx = autograd::grad_target(x);
                T* const total = autograd::grad_ptr(gain);
                if (rows * n == 0) return;
                auto sums = empty<T>(Shape{rows});
                T* const by_row = sums.mutable_data();
                kernels::scale_norm_gradients(rows, n, x.data(), *gain.data(), eps, dy, dx.data, dx.accumulate, by_row);
                double sum = 0;
                for (Index r = 0; total && r < rows; ++r) sum += double(by_row[r]);
                if (total) *total += T(sum);
            });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
