#pragma once
// LAMB: Adam's direction with a step in proportion to the parameter's norm, for very large batches.
// Y. You et al., Large Batch Optimization for Deep Learning, ICLR 2020.
#include <lamina/kernels/optim/whole.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: first moment, second moment.
template <class T>
struct LambRule {
    static constexpr int states = 2;

    T gradient_scale;  ///< negative to maximize
    T learning_rate, weight_decay, beta1, beta2, one_minus_beta1, one_minus_beta2;
    T correction;          ///< 1 / (1 - beta1^t)
    T inverse_correction;  ///< 1 / sqrt(1 - beta2^t)
    T eps;

    template <class V>
    LAMINA_INLINE V direction(V p, V m, V v) const {
        return fma(V(weight_decay), p, V(correction) * m / fma(sqrt(v), V(inverse_correction), V(eps)));
    }
};

/// Updates the moments of all jobs, then moves each parameter by learning rate * |parameter| / |direction| along its
/// direction, or by the learning rate alone where a norm is 0.
template <class Arch = simd::native, class T>
void lamb_all(std::vector<UpdateJob<T, LambRule<T>>>& jobs);

namespace detail {

/// Takes the gradient into the moments of [begin, begin + n) and adds to the squared norms.
template <class Arch, class T>
void lamb_moments(const UpdateJob<T, LambRule<T>>& job, Index begin, Index n, double& parameter, double& direction) {
    using V = simd::Vec<T, Arch>;
    const LambRule<T> r = job.rule;
    const T *const p = job.parameter + begin, *const g = static_cast<const T*>(job.gradient) + begin;
    T *const first = job.state[0] + begin, *const second = job.state[1] + begin;
    V squares_p(T(0)), squares_d(T(0));
    simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        const V slope = V(r.gradient_scale) * simd::load_count<Arch>(g + i, count);
        const V m = fma(V(r.one_minus_beta1), slope, V(r.beta1) * simd::load_count<Arch>(first + i, count));
        const V v = fma(V(r.one_minus_beta2) * slope, slope, V(r.beta2) * simd::load_count<Arch>(second + i, count));
        simd::store_count(first + i, m, count);
        simd::store_count(second + i, v, count);
        const V x = simd::load_count<Arch>(p + i, count);
        V d = r.direction(x, m, v);
        if constexpr (V::width > 1) d = select(simd::first_lanes<T, Arch>(count), d, V(T(0)));  // eps may be 0
        squares_p = fma(x, x, squares_p);
        squares_d = fma(d, d, squares_d);
    });
    parameter += double(reduce_add(squares_p));
    direction += double(reduce_add(squares_d));
}

}  // namespace detail

template <class Arch, class T>
void lamb_all(std::vector<UpdateJob<T, LambRule<T>>>& jobs) {
    using V = simd::Vec<T, Arch>;
    struct Norms {
        double parameter = 0, direction = 0;
    };
    const auto count_of = [&](std::size_t j) { return jobs[j].count; };
    std::vector<std::size_t> first(jobs.size() + 1, 0);
    for (std::size_t j = 0; j < jobs.size(); ++j)
        first[j + 1] = first[j] + std::size_t((jobs[j].count + update_chunk - 1) / update_chunk);
    std::vector<Norms> parts(first.back());
    with_wide_jobs<Arch>(jobs, [&] {
        for_each_chunk(jobs.size(), count_of, [&](std::size_t j, Index begin, Index end) {
            Norms sum;
            for (Index i = begin; i < end; i += narrow_block)
                detail::lamb_moments<Arch>(jobs[j], i, end - i < narrow_block ? end - i : narrow_block, sum.parameter,
                                           sum.direction);
            parts[first[j] + std::size_t(begin / update_chunk)] = sum;
        });
        std::vector<T> step(jobs.size());
        for (std::size_t j = 0; j < jobs.size(); ++j) {
            Norms sum;
            for (std::size_t c = first[j]; c < first[j + 1]; ++c) {
                sum.parameter += parts[c].parameter;
                sum.direction += parts[c].direction;
            }
            const bool scaled = sum.parameter > 0 && sum.direction > 0;
            step[j] = T(double(jobs[j].rule.learning_rate) * (scaled ? std::sqrt(sum.parameter / sum.direction) : 1));
        }
        for_each_chunk(jobs.size(), count_of, [&](std::size_t j, Index begin, Index end) {
            const LambRule<T> r = jobs[j].rule;
            T* const p = jobs[j].parameter + begin;
            const T *const m = jobs[j].state[0] + begin, *const v = jobs[j].state[1] + begin;
            const V rate(step[j]);
            simd::row<Arch, T>(end - begin, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                const V x = simd::load_count<Arch>(p + i, count);
                const V d = r.direction(x, simd::load_count<Arch>(m + i, count), simd::load_count<Arch>(v + i, count));
                simd::store_count(p + i, fnma(rate, d, x), count);
            });
        });
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
