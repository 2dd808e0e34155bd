// Bandwidth of the ops that move or fold memory: bytes read and written by the op alone, results in fresh tensors.
#include <lamina/core/create.hpp>
#include <lamina/ops/norm.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/ops/shape.hpp>
#include <lamina/ops/softmax.hpp>
#include <lamina/ops/sort.hpp>

#include <benchmark/benchmark.h>

#include <shapes.hpp>

namespace {

using namespace lamina;

/// Irregular numbers in [-1, 1).
template <int R>
Tensor<float, R> numbers(const Shape<R>& shape) {
    auto x = empty<float>(shape);
    std::uint32_t state = 1;
    for (Index i = 0; i < x.numel(); ++i) {
        state = state * 1664525u + 1013904223u;
        x.mutable_data()[i] = float(state >> 8) / 8388608.f - 1.f;
    }
    return x;
}
Shape<4> extents(const std::int64_t (&e)[4]) { return {e[0], e[1], e[2], e[3]}; }

/// Times f() and reports `elements` floats moved by each call.
template <class F>
void run(benchmark::State& state, Index elements, F&& f) {
    for (auto _ : state) benchmark::DoNotOptimize(f().data());
    state.counters["bytes/s"] = benchmark::Counter(
        4.0 * double(elements), benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

void copy_pass(benchmark::State& state, Index n) {
    const auto x = numbers(Shape{n});
    auto y = zeros<float>(Shape{n});
    run(state, 2 * n, [&] {
        kernels::copy(kernels::to_dense(x.shape(), x.strides()), x.data(), y.mutable_data());
        return y;
    });
}
void softmax_pass(benchmark::State& state, bench::Rows s, Index dim, bool logarithm) {
    const auto x = numbers(Shape{s.rows, s.columns});
    run(state, 2 * x.numel(), [&] { return logarithm ? log_softmax(x, dim) : softmax(x, dim); });
}
void layer_norm_pass(benchmark::State& state, bench::Rows s) {
    const auto x = numbers(Shape{s.rows, s.columns});
    const auto weight = numbers(Shape{s.columns}), bias = numbers(Shape{s.columns});
    run(state, 2 * x.numel(), [&] { return layer_norm(x, Shape{s.columns}, weight, bias); });
}
void group_norm_pass(benchmark::State& state, Shape<4> shape, Index groups) {
    const auto x = numbers(shape);
    const auto weight = numbers(Shape{shape[1]}), bias = numbers(Shape{shape[1]});
    run(state, 2 * x.numel(), [&] { return group_norm(x, groups, weight, bias); });
}
template <int Axis>
void sum_pass(benchmark::State& state) {
    const auto x = numbers(extents(bench::sum_shape));
    run(state, x.numel(), [&] { return sum(x, axes<Axis>); });
}
void permute_pass(benchmark::State& state) {
    const auto x = numbers(extents(bench::permute_shape));
    run(state, 2 * x.numel(), [&] { return contiguous(permute(x, {0, 3, 1, 2})); });
}
void transpose_pass(benchmark::State& state, Index n) {
    const auto x = numbers(Shape{n, n});
    run(state, 2 * x.numel(), [&] { return contiguous(transpose(x, 0, 1)); });
}
void sort_pass(benchmark::State& state, Index rows, Index n) {
    const auto x = numbers(Shape{rows, n});
    run(state, 3 * x.numel(), [&] { return sort(x).values; });
}
void topk_pass(benchmark::State& state, Index rows, Index n, Index k) {
    const auto x = numbers(Shape{rows, n});
    run(state, x.numel(), [&] { return topk(x, k).values; });
}

BENCHMARK_CAPTURE(copy_pass, floats_16m, 16 << 20)->UseRealTime();
BENCHMARK_CAPTURE(softmax_pass, attention_rows, bench::softmax_rows, 1, false)->UseRealTime();
BENCHMARK_CAPTURE(softmax_pass, attention_columns, bench::softmax_rows, 0, false)->UseRealTime();
BENCHMARK_CAPTURE(softmax_pass, attention_rows_log, bench::softmax_rows, 1, true)->UseRealTime();
BENCHMARK_CAPTURE(layer_norm_pass, diffusion_unet, bench::layer_norm_rows)->UseRealTime();
BENCHMARK_CAPTURE(group_norm_pass, diffusion_unet, Shape<4>{1, 320, 64, 64}, 32)->UseRealTime();
BENCHMARK(sum_pass<0>)->UseRealTime();
BENCHMARK(sum_pass<1>)->UseRealTime();
BENCHMARK(sum_pass<2>)->UseRealTime();
BENCHMARK(sum_pass<3>)->UseRealTime();
BENCHMARK(permute_pass)->UseRealTime();
BENCHMARK_CAPTURE(transpose_pass, 4096, 4096)->UseRealTime();
BENCHMARK_CAPTURE(transpose_pass, 1008, 1008)->UseRealTime();
BENCHMARK_CAPTURE(sort_pass, long_rows, 256, 4096)->UseRealTime();
BENCHMARK_CAPTURE(topk_pass, long_rows, 256, 4096, 8)->UseRealTime();

}  // namespace
