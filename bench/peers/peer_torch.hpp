#pragma once
// What the races of libtorch share: arrays as tensors, and calls with a fresh result or into a kept one.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "peers.hpp"

namespace peers::libtorch {

inline at::Tensor wrap(const Array<float>& a, at::IntArrayRef shape) {
    return at::from_blob(a.data(), shape, at::kFloat);
}
inline at::Tensor wrap(const Array<double>& a, at::IntArrayRef shape) {
    return at::from_blob(a.data(), shape, at::kDouble);
}

/// Whether torchvision's operators are there: loads its library, which registers them.
bool torchvision();

/// Element i in row-major order, whatever the strides.
inline double element(const at::Tensor& y, Index i) {
    Index offset = 0;
    for (Index d = y.dim(); d-- > 0; i /= y.size(d)) offset += i % y.size(d) * y.stride(d);
    if (y.scalar_type() == at::kLong) return double(y.data_ptr<Index>()[offset]);
    return y.scalar_type() == at::kDouble ? y.data_ptr<double>()[offset] : double(y.data_ptr<float>()[offset]);
}

/// y = f(), the previous result freed first, as at the end of a user's loop body.
template <class F>
Call fresh(F f) {
    auto y = std::make_shared<at::Tensor>();
    return {[=] {
                const c10::InferenceMode guard;
                y->reset();
                *y = f();
            },
            [=](Index i) { return element(*y, i); }};
}

}  // namespace peers::libtorch
