#pragma once
// Batch norm: statistics of each channel over the batch in training, running statistics in evaluation.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/batch_norm.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

struct BatchNormOptions {
    bool training = false;  ///< normalise by the batch and update the running statistics
    double momentum = 0.1;  ///< share of the batch in the new running statistics
    double eps = 1e-5;
};

namespace detail {

template <class T>
struct BatchNormBackward {
    kernels::ChannelGeometry g;
    bool training;
    autograd::Saved<T, 1> x, weight;
    OptionalTensor<T, 1> bias;
    Tensor<T, 2> statistics;  ///< shift, mean, rstd of each channel
    void operator()(const T* dy) const {
        const Index channels = g.period;
        const kernels::ChannelStatistics<T> s{statistics.data(), statistics.data() + channels,
                                              statistics.data() + 2 * channels};
        auto sums = empty<T>(Shape{Index(2), channels});
        T *sum_dy = sums.mutable_data(), *sum_dyh = sum_dy + channels;
        const auto dx = autograd::grad_target(x);
        if (g.spatial > 1)
            kernels::batch_norm_gradients(g, s, x.data(), weight.data(), dy, training, sum_dy, sum_dyh, dx.data,
                                          dx.accumulate);
        else single_values(s, dy, sum_dy, sum_dyh, dx);
        T *dw = autograd::grad_ptr(weight), *db = autograd::grad_ptr(bias);
        for (Index k = 0; dw && k < channels; ++k) dw[k] += sum_dyh[k];
        for (Index k = 0; db && k < channels; ++k) db[k] += sum_dy[k];
    }
    /// The same for [N, C], where the channels lie side by side.
    void single_values(const kernels::ChannelStatistics<T>& s, const T* dy, T* sum_dy, T* sum_dyh,
                       const autograd::GradTarget<T>& dx) const {
        const Index channels = g.period;
        auto rows = empty<T>(Shape{Index(2), g.rows}), factors = empty<T>(Shape{Index(3), channels});
        T *row_dy = rows.mutable_data(), *row_dyh = row_dy + g.rows;
        T *a = factors.mutable_data(), *b = a + channels, *c = b + channels;
        kernels::single_gradient_sums(g, s, x.data(), dy, row_dy, row_dyh);
        const kernels::ReduceGeometry images{1, g.rows / channels, channels};
        kernels::reduce<kernels::Sum>(images, row_dy, static_cast<const T*>(nullptr), sum_dy);
        kernels::reduce<kernels::Sum>(images, row_dyh, static_cast<const T*>(nullptr), sum_dyh);
        for (Index k = 0; k < channels; ++k) {
            a[k] = s.rstd[k] * (weight ? weight.data()[k] : T(1));
            b[k] = training ? -a[k] * sum_dyh[k] / T(images.count) : T(0);
            c[k] = training ? -a[k] * sum_dy[k] / T(images.count) : T(0);
        }
        if (dx) kernels::channel_grad_input(g, s, x.data(), dy, a, b, c, dx.data, dx.accumulate);
    }
};

/// Shift, mean and sum of squared distances of each channel of [N, C].
template <class T>
void batch_statistics(const kernels::ChannelGeometry& g, const T* x, T* shift, T* mean, T* squares) {
    const Index channels = g.period;
    const kernels::ReduceGeometry images{1, g.rows / channels, channels};
    const T count = T(images.count), *none = nullptr;
    auto sums = empty<T>(Shape{g.rows});
    for (Index k = 0; k < channels; ++k) shift[k] = x[k];
    kernels::single_moments(g, x, shift, none, sums.mutable_data());
    kernels::reduce<kernels::Sum>(images, sums.data(), none, mean);
    for (Index k = 0; k < channels; ++k) mean[k] /= count;
    kernels::single_moments(g, x, shift, mean, sums.mutable_data());
    kernels::reduce<kernels::Sum>(images, sums.data(), none, squares);
}

/// running = (1 - momentum) running + momentum batch, with the unbiased variance of `count` values.
template <class T>
void update_running(Tensor<T, 1> running_mean, Tensor<T, 1> running_var, const T* shift, const T* mean,
                    const T* squares, Index count, T momentum) {
    T *m = running_mean.mutable_data(), *v = running_var.mutable_data();
    for (Index k = 0; k < running_mean.numel(); ++k) {
        m[k] += momentum * (shift[k] + mean[k] - m[k]);
        v[k] += momentum * (squares[k] / T(count - 1) - v[k]);
    }
}

}  // namespace detail

/// (x - mean) / sqrt(variance + eps) * weight + bias for each channel of `x` [N, C, ...]. In training mean and (biased)
/// variance are those of the batch, and the running ones [C], if given, move towards them (the unbiased variance);
/// otherwise the running ones are used and are constants to the gradient. `weight` and `bias` [C] may be left out.
/// Throws ShapeError, and ValueError for one value per channel in training. (Ioffe, Szegedy 2015)
template <Real T, int R>
Tensor<T, R> batch_norm(const Tensor<T, R>& x, const Optional<T, 1>& running_mean, const Optional<T, 1>& running_var,
                        const Optional<T, 1>& weight = {}, const Optional<T, 1>& bias = {},
                        const BatchNormOptions& o = {}) {
    static_assert(R >= 2, "the input has at least the dimensions [N, C]");
    const Index images = x.shape()[0], channels = x.shape()[1], spatial = x.shape().product(2, R);
    const Index count = images * spatial;
    const auto check = [&](const char* name, const OptionalTensor<T, 1>& t) {
        require(!t || (t->shape() == Shape{channels} && t->is_contiguous()), "batch_norm: ", name, " must have shape ",
                Shape{channels}, " but has ", t->shape(), " (input ", x.shape(), ")");
    };
    check("running mean", running_mean);
    check("running variance", running_var);
    check("weight", weight);
    check("bias", bias);
    require<ValueError>(!o.training || count != 1,
                        "batch_norm: expected more than 1 value per channel in training but there is 1 (input ",
                        x.shape(), ")");
    require<ValueError>(o.training || (running_mean && running_var),
                        "batch_norm: evaluation needs running mean and variance but there are none");
    require<ValueError>(bool(running_mean) == bool(running_var),
                        "batch_norm: running mean and variance must be given together");
    auto y = empty<T>(x.shape());
    if (x.numel() == 0) {
        if (auto* tape = autograd::recording(x, weight, bias))
            tape->record("batch_norm", y, [link = x.grad_link(), weight, bias](const T*) {
                autograd::grad_ptr<T>(link);
                autograd::grad_ptr(weight);
                autograd::grad_ptr(bias);
            });
        return y;
    }
    const auto input = contiguous(x);
    const kernels::ChannelGeometry g{images * channels, spatial, channels};
    auto statistics = empty<T>(Shape{Index(4), channels});
    T *shift = statistics.mutable_data(), *mean = shift + channels, *rstd = mean + channels, *squares = rstd + channels;
    const T *w = weight ? weight->data() : nullptr, *b = bias ? bias->data() : nullptr;
    if (o.training && spatial > 1) {
        kernels::batch_norm_forward(g, input.data(), w, b, o.eps, y.mutable_data(), {shift, mean, squares, rstd});
    } else {
        if (o.training) detail::batch_statistics(g, input.data(), shift, mean, squares);
        auto factors = empty<T>(Shape{Index(2), channels});
        T *scale = factors.mutable_data(), *offset = scale + channels;
        for (Index k = 0; k < channels; ++k) {
            if (!o.training) shift[k] = running_mean->data()[k], mean[k] = T(0);
            const T variance = o.training ? squares[k] / T(count) : running_var->data()[k];
            rstd[k] = T(1) / T(__builtin_sqrt(variance + T(o.eps)));
            scale[k] = w ? rstd[k] * w[k] : rstd[k];
            offset[k] = b ? b[k] : T(0);
        }
        kernels::channel_affine(g, input.data(), shift, mean, scale, offset, y.mutable_data());
    }
    if (o.training && running_mean)
        detail::update_running(*running_mean, *running_var, shift, mean, squares, count, T(o.momentum));
    if (auto* tape = autograd::recording(x, weight, bias)) {
        Tensor<T, 1> elements(input.storage(), const_cast<T*>(input.data()), Shape{input.numel()}, {1});
        elements.set_grad_link(x.grad_link());
        tape->record("batch_norm", y,
                     detail::BatchNormBackward<T>{g, o.training, autograd::saved(elements), autograd::saved(weight),
                                                  bias, statistics});
    }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
