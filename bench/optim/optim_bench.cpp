// A step of an optimizer over a model of 25 M parameters: AdamW moves 28 bytes for each, SGD with momentum 20.
#include <benchmark/benchmark.h>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/sgd.hpp>

using namespace lamina;

namespace {

template <class Optimizer>
void step(benchmark::State& state, const typename Optimizer::Options& options, double bytes) {
    const int before = parallel::num_threads();
    if (state.range(0) == 1) parallel::set_num_threads(1);
    const Index tensors = 100, count = 250000;
    std::vector<NamedTensor> parameters;
    std::vector<Ref<Storage>> gradients;
    for (Index i = 0; i < tensors; ++i) {
        AnyTensor p = AnyTensor::zeros(DType::f32, {count});
        p.set_grad_link(GradLink(new GradSlot(DType::f32, count, 0)));
        parameters.push_back({message("weight", i), p});
        gradients.push_back(AnyTensor::zeros(DType::f32, {count}).storage());
    }
    Optimizer optimizer(parameters, options);
    for (auto _ : state) {
        for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].tensor.grad_link()->gradient = gradients[i];
        optimizer.step();
        benchmark::ClobberMemory();
    }
    parallel::set_num_threads(before);
    state.counters["bytes/s"] = {double(tensors * count) * bytes, benchmark::Counter::kIsIterationInvariantRate};
}

void adamw_25M(benchmark::State& state) { step<optim::AdamW>(state, {}, 28); }
void sgd_momentum_25M(benchmark::State& state) { step<optim::SGD>(state, {.momentum = 0.9}, 20); }

}  // namespace

BENCHMARK(adamw_25M)->Arg(1)->Arg(0)->ArgName("threads")->Unit(benchmark::kMillisecond);
BENCHMARK(sgd_momentum_25M)->Arg(1)->Arg(0)->ArgName("threads")->Unit(benchmark::kMillisecond);
