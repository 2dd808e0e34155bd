#pragma once
// Tensors from nothing, from values and from memory that exists already.
#include <lamina/core/tensor.hpp>

namespace lamina::inline LAMINA_ABI {

/// Tensor of `shape` whose elements are not set. Throws ShapeError, as all functions here that take a shape.
template <Element T, int R>
Tensor<T, R> empty(const Shape<R>& shape) {
    return Tensor<T, R>::uninitialized(shape);
}
template <Element T, int R>
Tensor<T, R> zeros(const Shape<R>& shape) {
    return Tensor<T, R>(shape);
}
template <Element T, int R>
Tensor<T, R> full(const Shape<R>& shape, std::type_identity_t<T> value) {
    auto out = empty<T>(shape);
    std::fill_n(out.mutable_data(), out.numel(), value);
    return out;
}
template <Element T, int R>
Tensor<T, R> ones(const Shape<R>& shape) {
    return full<T>(shape, T(1));
}
template <Element T, int R>
Tensor<T, R> empty_like(const Tensor<T, R>& x) {
    return empty<T>(x.shape());
}
template <Element T, int R>
Tensor<T, R> zeros_like(const Tensor<T, R>& x) {
    return zeros<T>(x.shape());
}
template <Element T, int R>
Tensor<T, R> ones_like(const Tensor<T, R>& x) {
    return ones<T>(x.shape());
}
template <Element T, int R>
Tensor<T, R> full_like(const Tensor<T, R>& x, std::type_identity_t<T> value) {
    return full<T>(x.shape(), value);
}

/// A single number as a tensor of rank 0.
template <Element T>
Tensor<T, 0> scalar(T value) {
    return Tensor<T, 0>(value);
}

/// start, start + step, … up to and not including `end` [ceil((end - start) / step)]. Throws ValueError for step 0
/// or a step that leads away from `end`.
template <Element T>
Tensor<T, 1> arange(std::type_identity_t<T> start, std::type_identity_t<T> end, std::type_identity_t<T> step = T(1)) {
    require<ValueError>(step > 0 ? end >= start : step < 0 && end <= start, "arange: step ", step, " must lead from ",
                        start, " to ", end);
    const double steps = (double(end) - double(start)) / double(step);
    const auto whole = Index(steps);
    auto out = empty<T>(Shape{whole + (double(whole) < steps)});
    T* y = out.mutable_data();
    for (Index i = 0; i < out.numel(); ++i) y[i] = T(start + T(i) * step);
    return out;
}
template <Element T>
Tensor<T, 1> arange(std::type_identity_t<T> end) {
    return arange<T>(T(0), end);
}

/// `steps` numbers from `start` to `end`, both included [steps]; exact at both ends. Throws ValueError for steps < 0.
template <Real T>
Tensor<T, 1> linspace(std::type_identity_t<T> start, std::type_identity_t<T> end, Index steps) {
    require<ValueError>(steps >= 0, "linspace: steps must not be negative but is ", steps);
    auto out = empty<T>(Shape{steps});
    T* y = out.mutable_data();
    const T step = steps > 1 ? (end - start) / T(steps - 1) : T(0);
    for (Index i = 0; i < steps; ++i)
        y[i] = i < steps / 2 || steps == 1 ? start + T(i) * step : end - T(steps - 1 - i) * step;
    return out;
}

/// Ones on the main diagonal, zeros elsewhere [rows, columns].
template <Element T>
Tensor<T, 2> eye(Index rows, Index columns) {
    auto out = zeros<T>(Shape{rows, columns});
    T* y = out.mutable_data();
    for (Index i = 0; i < std::min(rows, columns); ++i) y[i * columns + i] = T(1);
    return out;
}
template <Element T>
Tensor<T, 2> eye(Index n) {
    return eye<T>(n, n);
}

/// Copy of `values` in row-major order. Throws ShapeError when their number is not that of `shape`.
template <Element T, int R>
Tensor<T, R> from_span(const Shape<R>& shape, std::span<const std::type_identity_t<T>> values) {
    require(checked_numel(shape.begin(), R) == Index(values.size()), "from_span: shape ", shape, " needs ",
            shape.numel(), " values but there are ", Index(values.size()));
    auto out = empty<T>(shape);
    std::copy_n(values.data(), values.size(), out.mutable_data());
    return out;
}

/// Tensor over memory that the caller keeps alive and valid; row-major unless strides (in elements) are given.
template <Element T, int R>
Tensor<T, R> borrow(const Shape<R>& shape, T* data) {
    checked_numel(shape.begin(), R, sizeof(T));
    return Tensor<T, R>(Storage::borrow(data), data, shape, contiguous_strides(shape));
}
template <Element T, int R>
Tensor<T, R> borrow(const Shape<R>& shape, T* data, const Strides<R>& strides) {
    checked_numel(shape.begin(), R, sizeof(T));
    return Tensor<T, R>(Storage::borrow(data), data, shape, strides);
}

}  // namespace lamina::inline LAMINA_ABI
