#pragma once
// Inputs for tests and the distance between results: deterministic numbers, largest error, equality of bits.
#include <lamina/core/create.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::test {

/// Element `i` of `wave`: smooth, within [-1, 1], without repeats; another `phase` gives other numbers.
inline double wave_at(Index i, double phase = 0) {
    return 0.8 * std::sin(0.7310585 * double(i) + 0.3 + phase) + 0.2 * std::cos(0.0314159 * double(i) + 2 * phase);
}

/// Deterministic test input: `wave_at` for floating types, -11 to 11 for integers (0 to 22 unsigned), a pattern for
/// bool.
template <Element T, int R>
Tensor<T, R> wave(const Shape<R>& shape, double phase = 0) {
    auto out = empty<T>(shape);
    T* y = out.mutable_data();
    for (Index i = 0; i < out.numel(); ++i) {
        const Index step = i * 7 + Index(phase * 5) + 3;
        if constexpr (std::is_same_v<T, bool>) y[i] = step % 3 == 0;
        else if constexpr (std::is_integral_v<T>) y[i] = T(step % 23 - (std::is_signed_v<T> ? 11 : 0));
        else if constexpr (Real<T>) y[i] = T(wave_at(i, phase));
        else y[i] = T(float(wave_at(i, phase)));
    }
    return out;
}

/// Calls f(index) with the index array of every element of `shape` in row-major order.
template <int R, class F>
void for_each_index(const Shape<R>& shape, F&& f) {
    std::array<Index, std::size_t(R)> at{};
    for (Index i = 0, count = shape.numel(); i < count; ++i) {
        f(at);
        for (int d = R - 1; d >= 0 && ++at[std::size_t(d)] == shape[d]; --d) at[std::size_t(d)] = 0;
    }
}

/// |a - b|; infinite when just one of them is NaN, 0 for equal infinities.
inline double error_of(double a, double b) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : infinity;
    return a == b ? 0 : std::abs(a - b);
}

/// Largest |a - b|; infinite when the shapes differ.
template <class A, class B, int R>
double max_error(const Tensor<A, R>& a, const Tensor<B, R>& b) {
    if (!(a.shape() == b.shape())) return std::numeric_limits<double>::infinity();
    const auto x = a.clone();
    const auto y = b.clone();
    double largest = 0;
    for (Index i = 0; i < x.numel(); ++i)
        largest = std::max(largest, error_of(double(x.data()[i]), double(y.data()[i])));
    return largest;
}

/// Largest |a - b| as a part of the largest |b|.
template <class A, class B, int R>
double relative_error(const Tensor<A, R>& a, const Tensor<B, R>& b) {
    const auto y = b.clone();
    double scale = 0;
    for (Index i = 0; i < y.numel(); ++i) scale = std::max(scale, std::abs(double(y.data()[i])));
    const double error = max_error(a, b);
    return error == 0 ? 0 : error / scale;
}

/// True when shapes and all bits of the elements agree, whatever the strides.
template <class T, int R>
bool bitwise_equal(const Tensor<T, R>& a, const Tensor<T, R>& b) {
    if (!(a.shape() == b.shape())) return false;
    const auto x = a.clone(), y = b.clone();
    return x.numel() == 0 || std::memcmp(x.data(), y.data(), std::size_t(x.numel()) * sizeof(T)) == 0;
}

/// What `f` throws as `E`, or a text saying that it threw nothing; other exceptions pass.
template <class E, class F>
std::string message_of(F&& f) {
    try {
        f();
    } catch (const E& error) { return error.what(); }
    return "(nothing was thrown)";
}

}  // namespace lamina::inline LAMINA_ABI::test
