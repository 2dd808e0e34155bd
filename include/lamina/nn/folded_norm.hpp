#pragma once
// A normalisation behind a layer as part of the layer's weights, once its statistics stand.
#include <lamina/nn/batch_norm.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn::detail {

/// A layer's weight and bias.
template <class T>
struct Folded {
    Tensor<T, 4> weight;
    Tensor<T, 1> bias;
};

/// `weight` [out, …] and `bias` [out], which may be undefined, with `norm` folded in: w s and (b - mean) s + shift,
/// s = scale / deviation.
template <class T, class Norm>
Folded<T> fold_norm(const Tensor<T, 4>& weight, const Tensor<T, 1>& bias, const Norm& norm) {
    const Index out = weight.dim(0), count = weight.numel() / out;
    Folded<T> f{weight.clone(), zeros<T>(Shape{out})};
    T *w = f.weight.mutable_data(), *b = f.bias.mutable_data();
    for (Index c = 0; c < out; ++c) {
        const T scale = (norm.scale().defined() ? norm.scale().data()[c] : T(1)) /
                        std::sqrt(norm.running_var.data()[c] + T(norm.eps()));
        for (Index i = 0; i < count; ++i) w[c * count + i] *= scale;
        b[c] = ((bias.defined() ? bias.data()[c] : T(0)) - norm.running_mean.data()[c]) * scale +
               (norm.shift().defined() ? norm.shift().data()[c] : T(0));
    }
    return f;
}

}  // namespace lamina::inline LAMINA_ABI::nn::detail
