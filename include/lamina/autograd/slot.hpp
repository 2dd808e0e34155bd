#pragma once
// Gradient slots: how backward functions write gradients and how users read them.
#include <lamina/core/any_tensor.hpp>

namespace lamina::inline LAMINA_ABI::autograd {

namespace detail {

/// Serial of the tape whose backward pass runs on this thread; 0 when none does.
constinit inline thread_local std::uint64_t running = 0;

inline bool receives(const GradLink& link) { return link && (link->is_leaf() || link->tape == running); }

}  // namespace detail

/// Where a backward function puts a gradient. `data` is null when nobody wants it. When `accumulate` is false the
/// buffer holds nothing yet and every element must be written; when true every element must be added to.
template <class T>
struct GradTarget {
    T* data = nullptr;
    bool accumulate = false;
    explicit operator bool() const { return data != nullptr; }
};

/// The gradient of the tensor behind `link`, dense over its shape. Each call counts as the one contribution.
template <class T>
GradTarget<T> grad_target(const GradLink& link) {
    if (!detail::receives(link)) return {};
    const bool fresh = !link->gradient;
    if (fresh) link->gradient = Storage::allocate(std::size_t(link->numel) * sizeof(T));
    return {reinterpret_cast<T*>(link->gradient->data()), !fresh};
}
template <class T, int R>
GradTarget<T> grad_target(const Tensor<T, R>& x) {
    return grad_target<T>(x.grad_link());
}
template <class T, int R>
GradTarget<T> grad_target(const OptionalTensor<T, R>& x) {
    return x ? grad_target<T>(x->grad_link()) : GradTarget<T>{};
}

/// The same buffer for kernels that only add: zero-filled when it is new. Null when nobody wants the gradient.
template <class T>
T* grad_ptr(const GradLink& link) {
    const auto target = grad_target<T>(link);
    if (target && !target.accumulate) std::memset(target.data, 0, std::size_t(link->numel) * sizeof(T));
    return target.data;
}
template <class T, int R>
T* grad_ptr(const Tensor<T, R>& x) {
    return grad_ptr<T>(x.grad_link());
}
template <class T, int R>
T* grad_ptr(const OptionalTensor<T, R>& x) {
    return x ? grad_ptr<T>(x->grad_link()) : nullptr;
}

/// Makes `x` a leaf: tapes record what is computed from it, and its gradient gathers over backward passes.
template <Real T, int R>
void require_grad(Tensor<T, R>& x) {
    x.set_grad_link(GradLink(new GradSlot(dtype_of<T>, x.numel(), 0)));
}
/// `x` itself, as a new leaf over the same elements.
template <Real T, int R>
Tensor<T, R> leaf(Tensor<T, R> x) {
    require_grad(x);
    return x;
}
/// Keeps the gradient of the recorded tensor `x` readable after backward. Throws GradError when it has no link.
template <class T, int R>
void retain_grad(const Tensor<T, R>& x) {
    require<GradError>(bool(x.grad_link()), "retain_grad: the tensor must be recorded (shape ", x.shape(), ")");
    x.grad_link()->retained = true;
}

/// True when a gradient has gathered for `x`.
template <class T, int R>
bool has_grad(const Tensor<T, R>& x) {
    return x.grad_link() && x.grad_link()->gradient;
}
/// The gradient gathered for `x`, of its shape; shares the buffer. Throws GradError when there is none.
template <class T, int R>
Tensor<T, R> grad(const Tensor<T, R>& x) {
    require<GradError>(has_grad(x), "grad: no gradient has gathered for the tensor of shape ", x.shape());
    const auto& storage = x.grad_link()->gradient;
    return Tensor<T, R>(storage, reinterpret_cast<T*>(storage->data()), x.shape(), contiguous_strides(x.shape()));
}
/// Forgets the gradient gathered for `x`.
template <class T, int R>
void zero_grad(const Tensor<T, R>& x) {
    if (x.grad_link()) x.grad_link()->gradient.reset();
}

}  // namespace lamina::inline LAMINA_ABI::autograd
