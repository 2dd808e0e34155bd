#pragma once
// Passes over all gradients of a model at once: norms, scaling, holding in bounds, looking for overflow.
#include <lamina/kernels/optim/chunks.hpp>
#include <lamina/kernels/optim/narrow.hpp>
#include <lamina/simd/reduce.hpp>

#include <cmath>
#include <limits>

namespace lamina::inline LAMINA_ABI::kernels {

/// Elements of a floating type.
struct FloatArray {
    void* data;
    Index count;
    DType type;
};

/// The p-norm of all elements together, in double; infinity: the largest magnitude. NaN when an element is.
template <class Arch = simd::native>
double norm_of_all(const std::vector<FloatArray>& arrays, double p);

/// x = scale x for all elements.
template <class Arch = simd::native>
void scale_all(const std::vector<FloatArray>& arrays, double scale);

/// Holds all elements to [-limit, limit].
template <class Arch = simd::native>
void clamp_all(const std::vector<FloatArray>& arrays, double limit);

/// True when no element is infinite or NaN.
template <class Arch = simd::native>
bool all_finite(const std::vector<FloatArray>& arrays);

namespace detail {

/// Calls f(typed pointer) for float, double, half and bfloat16.
template <class F>
void with_reals(const FloatArray& array, F&& f) {
    if (array.type == DType::f64) return f(static_cast<double*>(array.data));
    with_floats(array.type, array.data, [&]<class N>(const N* x) { f(const_cast<N*>(x)); });
}
/// Calls f(begin of an array's chunk, count) in parallel for all chunks; each f returns a number, which are given in
/// order.
template <class F>
std::vector<double> numbers_of_chunks(const std::vector<FloatArray>& arrays, F&& f) {
    const auto count_of = [&](std::size_t a) { return arrays[a].count; };
    std::vector<Index> first(arrays.size() + 1, 0);
    for (std::size_t a = 0; a < arrays.size(); ++a)
        first[a + 1] = first[a] + (arrays[a].count + update_chunk - 1) / update_chunk;
    std::vector<double> numbers(std::size_t(first.back()), 0.0);
    for_each_chunk(arrays.size(), count_of, [&](std::size_t a, Index begin, Index end) {
        with_reals(arrays[a], [&](const auto* x) {
            numbers[std::size_t(first[a] + begin / update_chunk)] = f(x + begin, end - begin);
        });
    });
    return numbers;
}
template <class F>
void change_chunks(const std::vector<FloatArray>& arrays, F&& f) {
    const auto count_of = [&](std::size_t a) { return arrays[a].count; };
    for_each_chunk(arrays.size(), count_of, [&](std::size_t a, Index begin, Index end) {
        with_reals(arrays[a], [&](auto* x) { f(x + begin, end - begin); });
    });
}
/// y[i] = f(y[i]) in the lanes that the type computes in.
template <class Arch, class T, class F>
void change_lanes(T* y, Index n, F f) {
    if constexpr (std::is_same_v<T, double>) simd::for_each_vec<Arch, double>(n, f, y, y);
    else map_floats<Arch>(n, f, y, y);
}

/// Sum of squares: lanes of double, since squares of floats may leave their range.
template <class Arch, class T>
double sum_of_squares(const T* x, Index n) {
    using V = simd::Vec<double, Arch>;
    constexpr int width = V::width;
    if constexpr (sizeof(T) == 2) {
        double sum = 0;
        for (Index i = 0; i < n; ++i) sum += double(float(x[i])) * double(float(x[i]));
        return sum;
    } else {
        V sums[4] = {V(0.0), V(0.0), V(0.0), V(0.0)};
        Index i = 0;
        for (; i + 4 * width <= n; i += 4 * width)
            simd::unroll<4>([&](auto k) LAMINA_INLINE_LAMBDA {
                const V v = simd::load_as<double, Arch>(x + i + k * width);
                sums[k] = fma(v, v, sums[k]);
            });
        double rest = 0;
        for (; i < n; ++i) rest += double(x[i]) * double(x[i]);
        return reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
    }
}
/// The largest magnitude, NaN when an element is.
template <class Arch, class T>
double largest_magnitude(const T* x, Index n) {
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    using V = simd::Vec<C, Arch>;
    V largest(C(0));
    const auto take = [&](V v) LAMINA_INLINE_LAMBDA {
        const V magnitude = abs(v);
        largest = select((magnitude > largest) | isnan(magnitude), magnitude, largest);
        return v;
    };
    simd::row<Arch, C>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        if constexpr (std::is_same_v<T, double>) take(simd::load_count<Arch>(x + i, count));
        else take(load_float<Arch>(x + i, count));
    });
    C out = 0;
    for (int lane = 0; lane < V::width; ++lane) {
        const C v = largest[lane];
        if (v > out || v != v) out = v;
        if (v != v) break;
    }
    return double(out);
}

}  // namespace detail

template <class Arch>
double norm_of_all(const std::vector<FloatArray>& arrays, double p) {
    const bool largest = p == std::numeric_limits<double>::infinity();
    const auto numbers = detail::numbers_of_chunks(arrays, [&](const auto* x, Index n) {
        if (largest) return detail::largest_magnitude<Arch>(x, n);
        if (p == 2) return detail::sum_of_squares<Arch>(x, n);
        double sum = 0;
        for (Index i = 0; i < n; ++i) {
            double magnitude;
            if constexpr (sizeof(*x) == 2) magnitude = std::fabs(double(float(x[i])));
            else magnitude = std::fabs(double(x[i]));
            sum += p == 1 ? magnitude : std::pow(magnitude, p);
        }
        return sum;
    });
    double total = 0;
    for (double number : numbers) {
        if (!largest) total += number;
        else if (number > total || number != number) total = number;
        if (total != total) return total;
    }
    return largest ? total : p == 2 ? std::sqrt(total) : std::pow(total, 1 / p);
}

template <class Arch>
void scale_all(const std::vector<FloatArray>& arrays, double scale) {
    detail::change_chunks(arrays, [&](auto* x, Index n) {
        detail::change_lanes<Arch>(
            x, n, [&]<class V>(V v) LAMINA_INLINE_LAMBDA { return v * V(typename V::value_type(scale)); });
    });
}

template <class Arch>
void clamp_all(const std::vector<FloatArray>& arrays, double limit) {
    detail::change_chunks(arrays, [&](auto* x, Index n) {
        detail::change_lanes<Arch>(x, n, [&]<class V>(V v) LAMINA_INLINE_LAMBDA {
            using C = typename V::value_type;
            return min(V(C(limit)), max(V(C(-limit)), v));
        });
    });
}

template <class Arch>
bool all_finite(const std::vector<FloatArray>& arrays) {
    for (double largest :
         detail::numbers_of_chunks(arrays, [](const auto*x, Index n) { return detail::largest_magnitude<Arch>(x, n); }))
        if (!(largest <= std::numeric_limits<double>::max())) return false;
    return true;
}

}  // namespace lamina::inline LAMINA_ABI::kernels
