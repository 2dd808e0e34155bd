#pragma once
// Tensors kept for the backward pass, with a check that nobody wrote to them meanwhile.
#include <lamina/autograd/slot.hpp>

namespace lamina::inline LAMINA_ABI::autograd {

/// A tensor as it was when `saved` was called. Reading it after its elements changed throws GradError.
template <class T, int R>
class Saved {
public:
    explicit Saved(const Tensor<T, R>& x) : tensor_(x), version_(x.defined() ? x.storage()->version() : 0) {}
    const Tensor<T, R>& tensor() const {
        require<GradError>(!tensor_.defined() || tensor_.storage()->version() == version_,
                           "backward: a saved tensor of shape ", tensor_.shape(), " was changed in place (version ",
                           version_, " when recorded, now ", tensor_.defined() ? tensor_.storage()->version() : 0, ")");
        return tensor_;
    }
    const T* data() const { return tensor().data(); }
    const Shape<R>& shape() const { return tensor_.shape(); }
    const GradLink& grad_link() const { return tensor_.grad_link(); }
    /// False when an optional tensor was absent.
    explicit operator bool() const { return tensor_.defined(); }

private:
    Tensor<T, R> tensor_;
    std::uint64_t version_;
};

template <class T, int R>
Saved<T, R> saved(const Tensor<T, R>& x) {
    return Saved<T, R>(x);
}
template <class T, int R>
Saved<T, R> saved(const OptionalTensor<T, R>& x) {
    return Saved<T, R>(x ? *x : Tensor<T, R>());
}
template <class T, int R>
GradTarget<T> grad_target(const Saved<T, R>& x) {
    return grad_target<T>(x.grad_link());
}
template <class T, int R>
T* grad_ptr(const Saved<T, R>& x) {
    return grad_ptr<T>(x.grad_link());
}

}  // namespace lamina::inline LAMINA_ABI::autograd
