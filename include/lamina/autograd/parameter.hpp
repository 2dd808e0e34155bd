#pragma once
// Tensors that a module owns: parameters, which learn, and buffers, which do not.
#include <lamina/autograd/slot.hpp>

namespace lamina::inline LAMINA_ABI {

/// A learned tensor: a leaf of the gradient computation. Copies share elements and gradient.
template <Real T, int R>
class Parameter : public Tensor<T, R> {
public:
    /// Zeros; layers initialise them.
    explicit Parameter(const Shape<R>& shape) : Parameter(Tensor<T, R>(shape)) {}
    /// Takes over the elements of `values`.
    explicit Parameter(const Tensor<T, R>& values) : Tensor<T, R>(values.detach()) { autograd::require_grad(*this); }
};

/// A tensor that belongs to a module's state and never learns, such as running statistics.
template <Element T, int R>
class Buffer : public Tensor<T, R> {
public:
    explicit Buffer(const Shape<R>& shape) : Tensor<T, R>(shape) {}
    explicit Buffer(const Tensor<T, R>& values) : Tensor<T, R>(values.detach()) {}
};

}  // namespace lamina::inline LAMINA_ABI
