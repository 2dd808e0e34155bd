// Pointwise ops on model sizes, forward and backward, beside a copy of the same bytes: they should cost no more.
#include <benchmark/benchmark.h>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/parallel/for.hpp>

#include "../shapes.hpp"

using namespace lamina;

namespace {

Tensor<float, 1> values(Index n, float scale) {
    auto x = empty<float>(Shape{n});
    for (Index i = 0; i < n; ++i) x.mutable_data()[i] = scale * float(i * 37 % 1001 - 500) / 500;
    return x;
}

/// Runs f on state.range(0) threads and counts `arrays` passes over n floats.
template <class F>
void run(benchmark::State& state, Index n, int arrays, F f) {
    const int before = parallel::num_threads();
    if (state.range(0) == 1) parallel::set_num_threads(1);
    f();  // maps the memory
    for (auto _ : state) benchmark::DoNotOptimize(f().data());
    parallel::set_num_threads(before);
    state.counters["bytes/s"] = {double(n) * arrays * 4, benchmark::Counter::kIsIterationInvariantRate};
}

constexpr Index gelu_count = bench::gelu_rows.rows * bench::gelu_rows.columns;

template <class F>
void forward(benchmark::State& state, F f) {
    const auto x = values(gelu_count, 3);
    run(state, gelu_count, 2, [&] { return f(x); });
}
template <class F>
void backward(benchmark::State& state, F f) {
    const auto x = autograd::leaf(values(gelu_count, 3));
    const auto dy = values(gelu_count, 1);
    run(state, gelu_count, 3, [&] {
        autograd::zero_grad(x);
        autograd::Tape tape;
        auto y = f(x);
        tape.backward(y, dy);
        return autograd::grad(x);
    });
}
void add_relu(benchmark::State& state) {
    const auto x = values(bench::add_relu_count, 1), y = values(bench::add_relu_count, 2);
    run(state, bench::add_relu_count, 3,
        [&] { return map([](auto a, auto b) LAMINA_INLINE_LAMBDA { return kernels::Relu{}(a + b); }, x, y); });
}
void add_bias(benchmark::State& state) {
    const Index columns = bench::gelu_rows.columns;
    const auto x = full<float>(Shape{bench::gelu_rows.rows, columns}, 1.0f);
    const auto bias = values(columns, 1);
    run(state, x.numel(), 2, [&] { return x + bias; });
}
void add_bias_backward(benchmark::State& state) {
    const Index columns = bench::gelu_rows.columns;
    const auto x = autograd::leaf(full<float>(Shape{bench::gelu_rows.rows, columns}, 1.0f));
    const auto bias = autograd::leaf(values(columns, 1));
    run(state, x.numel(), 3, [&] {
        autograd::zero_grad(x);
        autograd::zero_grad(bias);
        autograd::Tape tape;
        auto y = x + bias;
        tape.backward(y, x);
        return autograd::grad(bias);
    });
}

}  // namespace

#define LAMINA_POINTWISE(name, call)                                                                          \
    BENCHMARK_CAPTURE(forward, name, [](const auto& x) { return call; })->Arg(1)->Arg(0)->ArgName("threads"); \
    BENCHMARK_CAPTURE(backward, name, [](const auto& x) { return call; })->Arg(1)->Arg(0)->ArgName("threads")
BENCHMARK_CAPTURE(forward, copy, [](const auto& x) { return map(kernels::Identity{}, x); }) -> Arg(1) -> Arg(0);
LAMINA_POINTWISE(gelu, gelu(x));
LAMINA_POINTWISE(gelu_tanh, gelu(x, GeluForm::tanh));
LAMINA_POINTWISE(silu, silu(x));
LAMINA_POINTWISE(relu, relu(x));
BENCHMARK(add_relu)->Arg(1)->Arg(0)->ArgName("threads");
BENCHMARK(add_bias)->Arg(1)->Arg(0)->ArgName("threads");
BENCHMARK(add_bias_backward)->Arg(1)->Arg(0)->ArgName("threads");
