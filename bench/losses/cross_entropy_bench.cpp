// Cross entropy of a language model's logits: one pass over them forward, one pass and one write backward.
#include <benchmark/benchmark.h>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/parallel/for.hpp>

#include "../shapes.hpp"

using namespace lamina;

namespace {

void cross_entropy(benchmark::State& state, bool backward) {
    const int before = parallel::num_threads();
    if (state.range(0) == 1) parallel::set_num_threads(1);
    constexpr Index rows = bench::cross_entropy_rows.rows, classes = bench::cross_entropy_rows.columns;
    auto x = empty<float>(Shape{rows, classes});
    for (Index i = 0; i < x.numel(); ++i) x.mutable_data()[i] = float(i * 37 % 1001) / 100;
    auto target = empty<std::int64_t>(Shape{rows});
    for (Index r = 0; r < rows; ++r) target.mutable_data()[r] = r * 7 % classes;
    if (backward) autograd::require_grad(x);
    const auto once = [&] {
        autograd::zero_grad(x);
        autograd::Tape tape;
        const auto loss = losses::cross_entropy(x, target);
        if (backward) tape.backward(loss);
        return loss.item();
    };
    once();  // maps the memory
    for (auto _ : state) benchmark::DoNotOptimize(once());
    parallel::set_num_threads(before);
    state.counters["bytes/s"] = {double(rows * classes) * (backward ? 12 : 4),
                                 benchmark::Counter::kIsIterationInvariantRate};
}

}  // namespace

BENCHMARK_CAPTURE(cross_entropy, forward, false)->Arg(1)->Arg(0)->ArgName("threads")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cross_entropy, with_gradient, true)
    ->Arg(1)
    ->Arg(0)
    ->ArgName("threads")
    ->Unit(benchmark::kMillisecond);
