#pragma once
// Layer norm and RMS norm over the last dimensions.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/layer_norm.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

template <class T>
const T* data_or_null(const OptionalTensor<T, 1>& x) {
    return x ? x->data() : nullptr;
}
/// The elements of a contiguous tensor as one dimension; undefined stays undefined.
template <class T, int R>
Tensor<T, 1> flat(const Tensor<T, R>& x) {
    if (!x.defined()) return {};
    const auto dense = contiguous(x);
    Tensor<T, 1> y(dense.storage(), const_cast<T*>(dense.data()), Shape{dense.numel()}, {1});
    y.set_grad_link(x.grad_link());
    return y;
}
template <class T, int R>
Tensor<T, 1> flat(const OptionalTensor<T, R>& x) {
    return x ? flat(*x) : Tensor<T, 1>();
}

template <class T>
struct RowNormBackward {
    kernels::RowNormGeometry g;
    autograd::Saved<T, 1> x, weight, bias, mean, rstd;
    void operator()(const T* dy) const {
        const auto dx = autograd::grad_target(x);
        kernels::row_norm_gradients(g, x.data(), weight.data(), mean.data(), rstd.data(), dy,
                                    {dx.data, dx.accumulate, autograd::grad_ptr(weight), autograd::grad_ptr(bias)});
    }
};

template <int R, int K>
kernels::RowNormGeometry row_norm_geometry(const char* op, const Shape<R>& shape, const Shape<K>& normalized) {
    static_assert(K >= 1 && K <= R, "the normalized shape has at least one dimension and not more than the input");
    for (int d = 0; d < K; ++d)
        require(shape[R - K + d] == normalized[d], op, ": the last dimensions must be ", normalized, " (input ", shape,
                ")");
    return {shape.product(0, R - K), normalized.numel()};
}

}  // namespace detail

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last dimensions, which are `normalized_shape`, with the
/// biased variance; `weight` and `bias` of that shape may be left out. Throws ShapeError. (Ba, Kiros, Hinton 2016)
template <Real T, int R, int K>
Tensor<T, R> layer_norm(const Tensor<T, R>& x, const Shape<K>& normalized_shape, const Optional<T, K>& weight = {},
                        const Optional<T, K>& bias = {}, double eps = 1e-5) {
    const auto g = detail::row_norm_geometry("layer_norm", x.shape(), normalized_shape);
    require(!weight || weight->shape() == normalized_shape, "layer_norm: weight must have shape ", normalized_shape,
            " but has ", weight->shape());
    require(!bias || bias->shape() == normalized_shape, "layer_norm: bias must have shape ", normalized_shape,
            " but has ", bias->shape());
    const auto input = detail::flat(x), w = detail::flat(weight), b = detail::flat(bias);
    auto y = empty<T>(x.shape());
    auto* tape = autograd::recording(x, weight, bias);
    Tensor<T, 1> mean, rstd;
    if (tape) mean = empty<T>(Shape{g.rows}), rstd = empty<T>(Shape{g.rows});
    kernels::layer_norm_forward(g, input.data(), w.data(), b.data(), eps, y.mutable_data(), mean.mutable_data(),
                                rstd.mutable_data());
    if (tape)
        tape->record("layer_norm", y,
                     detail::RowNormBackward<T>{g, autograd::saved(input), autograd::saved(w), autograd::saved(b),
                                                autograd::saved(mean), autograd::saved(rstd)});
    return y;
}

/// x / sqrt(mean(x^2) + eps) * weight over the last dimensions, which are `normalized_shape`; `weight` of that shape
/// may be left out. Throws ShapeError. (Zhang, Sennrich 2019)
template <Real T, int R, int K>
Tensor<T, R> rms_norm(const Tensor<T, R>& x, const Shape<K>& normalized_shape, const Optional<T, K>& weight = {},
                      double eps = 1e-6) {
    const auto g = detail::row_norm_geometry("rms_norm", x.shape(), normalized_shape);
    require(!weight || weight->shape() == normalized_shape, "rms_norm: weight must have shape ", normalized_shape,
            " but has ", weight->shape());
    const auto input = detail::flat(x), w = detail::flat(weight);
    auto y = empty<T>(x.shape());
    auto* tape = autograd::recording(x, weight);
    Tensor<T, 1> rstd;
    if (tape) rstd = empty<T>(Shape{g.rows});
    kernels::rms_norm_forward(g, input.data(), w.data(), eps, y.mutable_data(), rstd.mutable_data());
    if (tape) {
        const auto none = autograd::saved(Tensor<T, 1>());
        tape->record("rms_norm", y,
                     detail::RowNormBackward<T>{g, autograd::saved(input), autograd::saved(w), none, none,
                                                autograd::saved(rstd)});
    }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
