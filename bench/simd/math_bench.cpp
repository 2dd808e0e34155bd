// Nanoseconds an element of the transcendental functions from L1, beside a loop over the standard library's.
#include <lamina/simd/math.hpp>
#include <lamina/simd/row.hpp>

#include <benchmark/benchmark.h>

#include <cmath>

namespace {

using lamina::Index;
namespace simd = lamina::simd;

constexpr Index count = 1024;

/// y = f(x) over numbers spread on [low, high].
template <class T, class F>
void run(benchmark::State& state, F f, double low, double high) {
    alignas(64) T x[count];
    alignas(64) T y[count];
    for (Index i = 0; i < count; ++i) x[i] = T(low + (high - low) * double(i * 389 % count) / double(count));
    for (auto _ : state) {
        f(x, y);
        benchmark::DoNotOptimize(y[0]);
        benchmark::ClobberMemory();
    }
    state.counters["ns"] = benchmark::Counter(
        double(count) * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

#define MATH_BENCH(name, standard, low, high)                                          \
    template <class T>                                                                 \
    void name##_lanes(benchmark::State& state) {                                       \
        run<T>(                                                                        \
            state,                                                                     \
            [](const T* x, T* y) {                                                     \
                simd::for_each_vec(                                                    \
                    count, [](auto v) LAMINA_INLINE_LAMBDA { return name(v); }, y, x); \
            },                                                                         \
            low, high);                                                                \
    }                                                                                  \
    template <class T>                                                                 \
    void name##_std(benchmark::State& state) {                                         \
        run<T>(                                                                        \
            state,                                                                     \
            [](const T* x, T* y) {                                                     \
                for (Index i = 0; i < count; ++i) {                                    \
                    const T v = x[i];                                                  \
                    y[i] = T(standard);                                                \
                }                                                                      \
            },                                                                         \
            low, high);                                                                \
    }                                                                                  \
    BENCHMARK_TEMPLATE(name##_lanes, float);                                           \
    BENCHMARK_TEMPLATE(name##_std, float);                                             \
    BENCHMARK_TEMPLATE(name##_lanes, double);                                          \
    BENCHMARK_TEMPLATE(name##_std, double)

MATH_BENCH(exp, std::exp(v), -10, 10);
MATH_BENCH(exp2, std::exp2(v), -10, 10);
MATH_BENCH(expm1, std::expm1(v), -10, 10);
MATH_BENCH(log, std::log(v), 0.01, 100);
MATH_BENCH(log2, std::log2(v), 0.01, 100);
MATH_BENCH(log1p, std::log1p(v), -0.9, 10);
MATH_BENCH(tanh, std::tanh(v), -5, 5);
MATH_BENCH(sigmoid, 1 / (1 + std::exp(-v)), -10, 10);
MATH_BENCH(erf, std::erf(v), -3, 3);
MATH_BENCH(erfc, std::erfc(v), -3, 6);
MATH_BENCH(atan, std::atan(v), -5, 5);
MATH_BENCH(sin, std::sin(v), -30, 30);
MATH_BENCH(cos, std::cos(v), -30, 30);
MATH_BENCH(rsqrt, 1 / std::sqrt(v), 0.01, 100);

namespace fixed {
template <class V>
LAMINA_INLINE V pow(V v) {
    return pow(v, 1.7f);
}
template <class V>
LAMINA_INLINE V atan2(V v) {
    return atan2(v, 0.7f);
}
}  // namespace fixed
using fixed::atan2;
using fixed::pow;
MATH_BENCH(pow, std::pow(v, T(1.7f)), 0.01, 100);
MATH_BENCH(atan2, std::atan2(v, T(0.7f)), -5, 5);

}  // namespace
