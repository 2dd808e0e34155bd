#pragma once
// Random tensors. Every call takes the next stream of the generator it is given; element i of the result, counted in
// row-major order, follows from seed, stream and i, whatever the threads and the instruction set.
#include <lamina/core/create.hpp>
#include <lamina/kernels/random_normal.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/random/permutation.hpp>
#include <lamina/random/rng.hpp>

#include <limits>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// Has `f` write the elements of `x` in row-major order, by way of a dense copy where they lie otherwise.
template <class T, int R, class F>
void write_in_order(Tensor<T, R>& x, F&& f) {
    T* data = x.mutable_data();
    if (x.is_contiguous()) return f(data);
    auto dense = empty<T>(x.shape());
    f(dense.mutable_data());
    x.assign(dense);
}

inline void require_probability(const char* op, double p) {
    require<ValueError>(p >= 0 && p <= 1, op, ": p must lie in [0, 1] but is ", p);
}

}  // namespace detail

/// Uniform numbers in [lo, hi), never hi itself unless lo = hi. Throws ValueError unless lo <= hi and hi - lo is
/// finite.
template <Real T, int R>
void uniform_(Tensor<T, R>& x, random::Rng& rng, double lo = 0, double hi = 1) {
    const T low = T(lo), high = T(hi);
    require<ValueError>(low <= high && high - low <= std::numeric_limits<T>::max(),
                        "uniform_: lo must not be above hi, nor hi - lo overflow, but they are ", lo, " and ", hi);
    detail::write_in_order(x, [&](T* out) { kernels::fill_uniform(rng.next_stream(), out, x.numel(), low, high); });
}

/// Normal numbers. Throws ValueError for std < 0.
template <Real T, int R>
void normal_(Tensor<T, R>& x, random::Rng& rng, double mean = 0, double std = 1) {
    require<ValueError>(std >= 0, "normal_: std must not be negative but is ", std);
    detail::write_in_order(x,
                           [&](T* out) { kernels::fill_normal(rng.next_stream(), out, x.numel(), T(mean), T(std)); });
}

/// Normal numbers on the condition that they lie in [a, b]; the bounds are absolute, not multiples of std, as in
/// torch.nn.init.trunc_normal_. Throws ValueError unless std > 0 and a <= b.
template <Real T, int R>
void trunc_normal_(Tensor<T, R>& x, random::Rng& rng, double mean = 0, double std = 1, double a = -2, double b = 2) {
    require<ValueError>(T(std) > 0, "trunc_normal_: std must be positive but is ", std);
    require<ValueError>(a <= b, "trunc_normal_: a must not be above b but they are ", a, " and ", b);
    detail::write_in_order(x, [&](T* out) {
        kernels::fill_truncated_normal(rng.next_stream(), out, x.numel(), T(mean), T(std), T(a), T(b));
    });
}

/// Normal numbers around 0, cut at two standard deviations of the uncut normal, which is widened so that the standard
/// deviation of the result is `std` (the convention of TensorFlow's VarianceScaling). Throws ValueError unless std > 0.
template <Real T, int R>
void trunc_normal_corrected_(Tensor<T, R>& x, random::Rng& rng, double std) {
    require<ValueError>(T(std) > 0, "trunc_normal_corrected_: std must be positive but is ", std);
    constexpr double kept_by_cut = 0.87962566103423978;
    const double wide = std / kept_by_cut;
    trunc_normal_(x, rng, 0, wide, -2 * wide, 2 * wide);
}

/// Ones with probability p, zeros otherwise. Throws ValueError for p outside [0, 1].
template <Element T, int R>
void bernoulli_(Tensor<T, R>& x, random::Rng& rng, double p = 0.5) {
    detail::require_probability("bernoulli_", p);
    detail::write_in_order(
        x, [&](T* out) { kernels::fill_bernoulli(rng.next_stream(), out, x.numel(), p, T(1.f), T(0.f)); });
}

/// Uniform numbers in [0, 1) of the given shape.
template <Real T, int R>
Tensor<T, R> rand(random::Rng& rng, const Shape<R>& shape) {
    auto x = empty<T>(shape);
    uniform_(x, rng);
    return x;
}
template <Real T, int R>
Tensor<T, R> rand_like(random::Rng& rng, const Tensor<T, R>& x) {
    return rand<T>(rng, x.shape());
}

/// Normal numbers of mean 0 and standard deviation 1 of the given shape.
template <Real T, int R>
Tensor<T, R> randn(random::Rng& rng, const Shape<R>& shape) {
    auto x = empty<T>(shape);
    normal_(x, rng);
    return x;
}
template <Real T, int R>
Tensor<T, R> randn_like(random::Rng& rng, const Tensor<T, R>& x) {
    return randn<T>(rng, x.shape());
}

/// Integers in [low, high), each equally probable. Throws ValueError unless low < high and T holds them all.
template <Element T = std::int64_t, int R>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
Tensor<T, R> randint(random::Rng& rng, std::int64_t low, std::int64_t high, const Shape<R>& shape) {
    using Limits = std::numeric_limits<T>;
    require<ValueError>(low < high, "randint: low must be below high but they are ", low, " and ", high);
    require<ValueError>(low >= Limits::min() && high - 1 <= Limits::max(), "randint: ", dtype_traits<T>::name,
                        " must hold low and high - 1 but they are ", low, " and ", high - 1);
    auto x = empty<T>(shape);
    kernels::fill_integers(rng.next_stream(), x.mutable_data(), x.numel(), low, high);
    return x;
}

/// The numbers 0 to n - 1 in random order [n]. Throws ValueError for n < 0 or more than T counts.
template <Element T = std::int64_t>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
Tensor<T, 1> randperm(random::Rng& rng, Index n) {
    require<ValueError>(n >= 0 && n - 1 <= Index(std::numeric_limits<T>::max()), "randperm: n must lie in [0, ",
                        std::numeric_limits<T>::max(), "] but is ", n);
    auto x = empty<T>(Shape{n});
    random::permutation(rng.next_stream(), x.mutable_data(), n);
    return x;
}

/// Ones with probability p, zeros otherwise, of the given shape. Throws ValueError for p outside [0, 1].
template <Element T, int R>
Tensor<T, R> bernoulli(random::Rng& rng, const Shape<R>& shape, double p) {
    detail::require_probability("bernoulli", p);
    auto x = empty<T>(shape);
    bernoulli_(x, rng, p);
    return x;
}
/// The same where each element has a probability of its own. Throws ValueError for one outside [0, 1].
template <Real T, int R>
Tensor<T, R> bernoulli(random::Rng& rng, const Tensor<T, R>& p) {
    const Tensor<T, R> probability = contiguous(p);
    const T* limit = probability.data();
    for (Index i = 0; i < p.numel(); ++i)
        require<ValueError>(limit[i] >= 0 && limit[i] <= 1, "bernoulli: p must lie in [0, 1] but element ", i, " of ",
                            p.shape(), " is ", limit[i]);
    auto x = rand<T>(rng, p.shape());
    T* y = x.mutable_data();
    parallel::for_range(p.numel(), kernels::pointwise_grain, [=](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) y[i] = T(y[i] < limit[i]);
    });
    return x;
}

namespace detail {

/// Draws with replacement: where a uniform number falls among the running sums of the weights.
template <class T>
void draw_again_and_again(const random::Key& key, Index row, const T* weights, Index categories, std::int64_t* out,
                          Index samples) {
    double* sums = parallel::scratch<double>(categories);
    double total = 0;
    Index last = 0;  // rounding must not lead past the last category that has a weight
    for (Index c = 0; c < categories; ++c) {
        sums[c] = total += double(weights[c]);
        if (weights[c] > 0) last = c;
    }
    for (Index s = 0; s < samples; ++s) {
        const double at = random::uniform<double>(key, row * samples + s) * total;
        out[s] = std::min(Index(std::upper_bound(sums, sums + categories, at) - sums), last);
    }
}

/// Draws without replacement: category c arrives after an exponential time of rate weights[c], and the first ones to
/// arrive are taken. P. Efraimidis and P. Spirakis, Information Processing Letters 97, 2006.
template <class T>
void draw_once(const random::Key& key, Index row, const T* weights, Index categories, std::int64_t* out,
               Index samples) {
    struct Arrival {
        double time;
        Index category;
        bool operator<(const Arrival& other) const {
            return time < other.time || (time == other.time && category < other.category);
        }
    };
    Arrival* arrivals = parallel::scratch<Arrival>(categories);
    Index count = 0;
    for (Index c = 0; c < categories; ++c) {
        if (!(weights[c] > 0)) continue;
        const double u = (double(random::word64(key, row * categories + c) >> 11) + 0.5) * 0x1p-53;
        const double log_u = kernels::detail::rounded_log(simd::Vec<double, simd::scalar>(u))[0];
        arrivals[count++] = {-log_u / double(weights[c]), c};
    }
    std::partial_sort(arrivals, arrivals + samples, arrivals + count);
    for (Index s = 0; s < samples; ++s) out[s] = arrivals[s].category;
}

}  // namespace detail

/// Indices of categories [..., samples], drawn from each row of `weights` [..., categories] with probabilities in the
/// proportion of the weights, which need not add up to 1; without replacement in the order of drawing. Throws
/// ValueError for a weight that is negative or not finite, a row without weight, or more samples than categories of
/// positive weight when there is no replacement.
template <Real T, int R>
    requires(R >= 1)
Tensor<std::int64_t, R> multinomial(random::Rng& rng, const Tensor<T, R>& weights, Index samples,
                                    bool replacement = false) {
    require<ValueError>(samples >= 0, "multinomial: samples must not be negative but is ", samples);
    const Index categories = weights.shape()[R - 1], rows = weights.shape().product(0, R - 1);
    const Tensor<T, R> dense = contiguous(weights);
    const T* w = dense.data();
    for (Index row = 0; row < rows; ++row) {
        Index positive = 0;
        for (Index c = 0; c < categories; ++c) {
            const T weight = w[row * categories + c];
            require<ValueError>(weight >= 0 && weight <= std::numeric_limits<T>::max(),
                                "multinomial: weights must be finite and not negative but category ", c, " of row ",
                                row, " has ", weight, " (weights ", weights.shape(), ")");
            positive += weight > 0;
        }
        require<ValueError>(samples == 0 || positive > 0, "multinomial: row ", row,
                            " must have a positive weight (weights ", weights.shape(), ")");
        require<ValueError>(replacement || samples <= positive, "multinomial: ", samples,
                            " samples without replacement need as many positive weights but row ", row, " has ",
                            positive, " (weights ", weights.shape(), ")");
    }
    Shape<R> shape = weights.shape();
    shape[R - 1] = samples;
    auto out = empty<std::int64_t>(shape);
    const random::Key key = rng.next_stream();
    std::int64_t* y = out.mutable_data();
    if (samples == 0) return out;
    parallel::for_range(rows, parallel::grain_for(8 * (categories + samples)), [=](Index begin, Index end) {
        for (Index row = begin; row < end; ++row) {
            const T* from = w + row * categories;
            std::int64_t* to = y + row * samples;
            if (replacement) detail::draw_again_and_again(key, row, from, categories, to, samples);
            else detail::draw_once(key, row, from, categories, to, samples);
        }
    });
    return out;
}

}  // namespace lamina::inline LAMINA_ABI
