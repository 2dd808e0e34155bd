#pragma once
// Adafactor: second moments of matrices kept as one number per row and column. N. Shazeer, M. Stern, Adafactor:
// Adaptive Learning Rates with Sublinear Memory Cost, ICML 2018.
#include <lamina/kernels/optim/whole.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::kernels {

/// The numbers of one step. State: means of squares per row [batch, rows] and column [batch, columns], or of every
/// element where `rows` is 0, and the first moment if there is one.
template <class T>
struct AdafactorRule {
    static constexpr int states = 4;

    double gradient_scale;  ///< negative to maximize
    double learning_rate;   ///< of this step
    bool scale_by_size;     ///< times max(smallest_size, root mean square of the parameter)
    double smallest_size;   ///< eps2
    double eps;             ///< eps1, added to squares
    double beta1, beta2;    ///< beta1 0: no first moment
    double clip;            ///< largest root mean square of a step before the learning rate
    double weight_decay;
    Index batch, rows, columns;  ///< the parameter as matrices; rows 0: not factored
};

/// One step of every job.
template <class Arch = simd::native, class T>
void adafactor_all(std::vector<UpdateJob<T, AdafactorRule<T>>>& jobs);

namespace detail {

template <class Arch, class T>
struct AdafactorStep {
    using V = simd::Vec<T, Arch>;
    const UpdateJob<T, AdafactorRule<T>>& job;
    const AdafactorRule<T>& r = job.rule;
    const T* const gradient = static_cast<const T*>(job.gradient);
    const Index lines = r.rows ? r.batch * r.rows : 1, width = r.rows ? r.columns : job.count;
    const Index grain = r.rows ? (update_chunk + width - 1) / (width > 0 ? width : 1) : 1;

    static double add(double a, double b) { return a + b; }
    /// f(line, first column, end column) summed over all elements, in a fixed order.
    template <class F>
    double sum_lines(F&& f) const {
        if (lines == 1) {
            const auto part = [&](Index begin, Index end) { return f(Index(0), begin, end); };
            return parallel::reduce(width, update_chunk, 0.0, part, add);
        }
        const auto part = [&](Index begin, Index end) {
            double sum = 0;
            for (Index line = begin; line < end; ++line) sum += f(line, Index(0), width);
            return sum;
        };
        return parallel::reduce(lines, grain, 0.0, part, add);
    }
    double mean_square(const T* x) const {
        return sum_lines([&](Index line, Index begin, Index end) {
                   const T* row = x + line * width;
                   return sum_in_blocks(begin, end, [&](Index at, Index n) {
                       V sum(T(0));
                       simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                           const V v = simd::load_count<Arch>(row + at + i, count);
                           sum = fma(v, v, sum);
                       });
                       return reduce_add(sum);
                   });
               }) /
               double(job.count);
    }
    /// state = beta2 state + (1 - beta2) means of squares, by rows and by columns.
    void update_factors() const {
        const T beta2 = T(r.beta2), rest = T(1 - r.beta2), eps = T(r.eps), scale = T(r.gradient_scale);
        parallel::for_range(lines, grain, [&](Index begin, Index end) {
            for (Index line = begin; line < end; ++line) {
                const T* g = gradient + line * width;
                const double sum = sum_in_blocks(0, width, [&](Index at, Index n) {
                    V squares(T(0));
                    simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                        const V x = V(scale) * simd::load_count<Arch>(g + at + i, count);
                        squares = fma(x, x, squares);
                    });
                    return reduce_add(squares);
                });
                job.state[0][line] = beta2 * job.state[0][line] + rest * (T(sum / double(width)) + eps);
            }
        });
        constexpr Index strip = 256;
        const Index strips = (width + strip - 1) / strip;
        parallel::for_range(r.batch * strips, 1, [&](Index begin, Index end) {
            for (Index task = begin; task < end; ++task) {
                const Index matrix = task / strips, first = task % strips * strip;
                const Index n = width - first < strip ? width - first : strip;
                T sums[strip] = {};
                for (Index row = 0; row < r.rows; ++row) {
                    const T* g = gradient + (matrix * r.rows + row) * width + first;
                    simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                        const V x = V(scale) * simd::load_count<Arch>(g + i, count);
                        simd::store_count(sums + i, fma(x, x, simd::load_count<Arch>(sums + i, count)), count);
                    });
                }
                T* column = job.state[1] + matrix * width + first;
                for (Index i = 0; i < n; ++i) column[i] = beta2 * column[i] + rest * (sums[i] / T(r.rows) + eps);
            }
        });
    }
    /// Calls f(index, count tag, lanes of the step before its bounds) over the elements [begin, end) of a line.
    template <class F>
    LAMINA_INLINE void directions(Index line, Index begin, Index end, const T* row_scale, F&& f) const {
        const V scale{T(r.gradient_scale)};
        const T* g = gradient + line * width + begin;
        const T* second = r.rows ? job.state[1] + line / r.rows * width + begin : job.state[2] + begin;
        const V row(r.rows ? row_scale[line] : T(1));
        simd::row<Arch, T>(end - begin, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const V v = row * simd::load_count<Arch>(second + i, count);
            V d = scale * simd::load_count<Arch>(g + i, count) / sqrt(v);
            if constexpr (V::width > 1)
                d = select(simd::first_lanes<T, Arch>(count), d, V(T(0)));  // 0 / 0 past the end
            f(line * width + begin + i, count, d);
        });
    }
    void run() const {
        if (job.count == 0) return;
        std::vector<T> row_scale(r.rows ? std::size_t(lines) : 0);
        if (r.rows) {
            update_factors();
            for (Index m = 0; m < r.batch; ++m) {
                double mean = 0;
                for (Index i = 0; i < r.rows; ++i) mean += double(job.state[0][m * r.rows + i]);
                mean /= double(r.rows);
                for (Index i = m * r.rows; i < (m + 1) * r.rows; ++i)
                    row_scale[std::size_t(i)] = T(double(job.state[0][i]) / mean);
            }
        } else {
            const V beta2{T(r.beta2)}, rest{T(1 - r.beta2)}, eps{T(r.eps)}, scale{T(r.gradient_scale)};
            parallel::for_range(job.count, update_chunk, [&](Index begin, Index end) {
                simd::row<Arch, T>(end - begin, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    const V x = scale * simd::load_count<Arch>(gradient + begin + i, count);
                    T* at = job.state[2] + begin + i;
                    simd::store_count(at, fma(rest, fma(x, x, eps), beta2 * simd::load_count<Arch>(at, count)), count);
                });
            });
        }
        const double size = r.scale_by_size ? std::sqrt(mean_square(job.parameter)) : 1;
        const double rate = r.learning_rate * (r.scale_by_size && size < r.smallest_size ? r.smallest_size : size);
        const double squares = sum_lines([&](Index line, Index begin, Index end) {
            return sum_in_blocks(begin, end, [&](Index at, Index n) {
                V sum(T(0));
                directions(line, at, at + n, row_scale.data(),
                           [&](Index, auto, V d) LAMINA_INLINE_LAMBDA { sum = fma(d, d, sum); });
                return reduce_add(sum);
            });
        });
        const double excess = std::sqrt(squares / double(job.count)) / r.clip;
        const V step{T(rate / (excess < 1 ? 1 : excess))}, keep{T(1 - r.weight_decay * rate)};
        const V beta1{T(r.beta1)}, rest1{T(1 - r.beta1)};
        T *const p = job.parameter, *const first = job.state[3];
        sum_lines([&](Index line, Index begin, Index end) {
            directions(line, begin, end, row_scale.data(), [&](Index i, auto count, V d) LAMINA_INLINE_LAMBDA {
                V move = step * d;
                if (first) {
                    move = fma(beta1, simd::load_count<Arch>(first + i, count), rest1 * move);
                    simd::store_count(first + i, move, count);
                }
                simd::store_count(p + i, keep * simd::load_count<Arch>(p + i, count) - move, count);
            });
            return 0.0;
        });
    }
};

}  // namespace detail

template <class Arch, class T>
void adafactor_all(std::vector<UpdateJob<T, AdafactorRule<T>>>& jobs) {
    with_wide_jobs<Arch>(jobs, [&] {
        for (const auto& job : jobs) detail::AdafactorStep<Arch, T>{job}.run();
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
