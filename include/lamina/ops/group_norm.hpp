#pragma once
// Group norm and instance norm: statistics over groups of channels of each image, factors for each channel.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/channel_norm.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// Entries of one float array after another, [parts, entries].
template <class T>
Tensor<T, 2> channel_entries(Index parts, Index entries) {
    return empty<T>(Shape{parts, entries});
}

template <class T>
struct GroupNormBackward {
    kernels::ChannelGeometry g;
    Index channels, channels_per_group;
    autograd::Saved<T, 1> x;
    OptionalTensor<T, 1> bias;
    autograd::Saved<T, 1> weight;
    Tensor<T, 2> statistics;  ///< shift, mean, rstd of each row
    void operator()(const T* dy) const {
        const Index rows = g.rows, group = channels_per_group;
        const kernels::ChannelStatistics<T> s{statistics.data(), statistics.data() + rows,
                                              statistics.data() + 2 * rows};
        const T* w = weight.data();
        auto work = channel_entries<T>(5, rows);
        T *sum_dy = work.mutable_data(), *sum_dyh = sum_dy + rows, *a = sum_dyh + rows, *b = a + rows, *c = b + rows;
        kernels::channel_gradient_sums(g, s, x.data(), dy, sum_dy, sum_dyh);
        const auto over_images = [&](T* grad, const T* sums) {
            for (Index k = 0; grad && k < channels; ++k) {
                double total = 0;
                for (Index r = k; r < rows; r += channels) total += double(sums[r]);
                grad[k] += T(total);
            }
        };
        over_images(autograd::grad_ptr(weight), sum_dyh);
        over_images(autograd::grad_ptr(bias), sum_dy);
        const auto dx = autograd::grad_target(x);
        if (!dx) return;
        for (Index first = 0; first < rows; first += group) {
            double along = 0, shared = 0;
            for (Index r = first; r < first + group; ++r) {
                const double factor = w ? double(w[r % channels]) : 1;
                along += factor * double(sum_dyh[r]);
                shared += factor * double(sum_dy[r]);
            }
            for (Index r = first; r < first + group; ++r) {
                const double count = double(group * g.spatial);
                a[r] = s.rstd[r] * (w ? w[r % channels] : T(1));
                b[r] = T(-double(s.rstd[r]) * along / count);
                c[r] = T(-double(s.rstd[r]) * shared / count);
            }
        }
        kernels::channel_grad_input(g, s, x.data(), dy, a, b, c, dx.data, dx.accumulate);
    }
};

/// With an activation `f` on lanes behind it while nothing records.
template <Real T, int R, class F = kernels::Unchanged>
Tensor<T, R> group_norm(const char* op, const Tensor<T, R>& x, Index groups, const OptionalTensor<T, 1>& weight,
                        const OptionalTensor<T, 1>& bias, double eps, const F& f = {}) {
    static_assert(R >= 2, "the input has at least the dimensions [N, C]");
    const Index images = x.shape()[0], channels = x.shape()[1], spatial = x.shape().product(2, R);
    require(groups >= 1 && channels % groups == 0, op, ": channels must divide into groups but there are ", channels,
            " channels and ", groups, " groups (input ", x.shape(), ")");
    require(!weight || weight->shape() == Shape{channels}, op, ": weight must have shape ", Shape{channels},
            " but has ", weight->shape());
    require(!bias || bias->shape() == Shape{channels}, op, ": bias must have shape ", Shape{channels}, " but has ",
            bias->shape());
    auto y = empty<T>(x.shape());
    if (x.numel() == 0) {
        if (auto* tape = autograd::recording(x, weight, bias))
            tape->record(op, y, [link = x.grad_link(), weight, bias](const T*) {
                autograd::grad_ptr<T>(link);
                autograd::grad_ptr(weight);
                autograd::grad_ptr(bias);
            });
        return y;
    }
    const auto input = contiguous(x);
    const auto w = weight ? contiguous(*weight) : Tensor<T, 1>(), b = bias ? contiguous(*bias) : Tensor<T, 1>();
    const Index group = channels / groups, count = group * spatial, blocks = images * groups, rows = images * channels;
    const kernels::ChannelGeometry by_group{blocks, count, blocks}, by_row{rows, spatial, rows};

    auto statistics = channel_entries<T>(3, blocks), entries = channel_entries<T>(5, rows);
    T *shift = statistics.mutable_data(), *mean = shift + blocks, *sums = mean + blocks;
    for (Index i = 0; i < blocks; ++i) shift[i] = input.data()[i * count];
    kernels::channel_moments(by_group, input.data(), shift, static_cast<const T*>(nullptr), mean);
    for (Index i = 0; i < blocks; ++i) mean[i] /= T(count);
    kernels::channel_moments(by_group, input.data(), shift, mean, sums);
    T* entry = entries.mutable_data();
    for (Index r = 0; r < rows; ++r) {
        const Index i = r / group;
        const T rstd = T(1) / T(__builtin_sqrt(sums[i] / T(count) + T(eps)));
        entry[r] = shift[i];
        entry[rows + r] = mean[i];
        entry[2 * rows + r] = rstd;
        entry[3 * rows + r] = w.defined() ? rstd * w.data()[r % channels] : rstd;
        entry[4 * rows + r] = b.defined() ? b.data()[r % channels] : T(0);
    }
    kernels::channel_affine(by_row, input.data(), entry, entry + rows, entry + 3 * rows, entry + 4 * rows,
                            y.mutable_data(), f);
    if (auto* tape = autograd::recording(x, weight, bias)) {
        Tensor<T, 1> elements(input.storage(), const_cast<T*>(input.data()), Shape{input.numel()}, {1});
        elements.set_grad_link(x.grad_link());
        tape->record(op, y,
                     GroupNormBackward<T>{by_row, channels, group, autograd::saved(elements), bias, autograd::saved(w),
                                          entries});
    }
    return y;
}

}  // namespace detail

/// Normalises each group of C / `groups` neighbouring channels of each image of `x` [N, C, ...] to mean 0 and (biased)
/// variance 1, then applies `weight` [C] and `bias` [C], which may be left out. Throws ShapeError. (Wu, He 2018)
template <Real T, int R>
Tensor<T, R> group_norm(const Tensor<T, R>& x, Index groups, const Optional<T, 1>& weight = {},
                        const Optional<T, 1>& bias = {}, double eps = 1e-5) {
    return detail::group_norm("group_norm", x, groups, weight, bias, eps);
}

/// Group norm with a group for each channel of `x` [N, C, ...]. Throws ShapeError. (Ulyanov, Vedaldi, Lempitsky 2016)
template <Real T, int R>
Tensor<T, R> instance_norm(const Tensor<T, R>& x, const Optional<T, 1>& weight = {}, const Optional<T, 1>& bias = {},
                           double eps = 1e-5) {
    return detail::group_norm("instance_norm", x, x.shape()[1] > 0 ? x.shape()[1] : 1, weight, bias, eps);
}

}  // namespace lamina::inline LAMINA_ABI
