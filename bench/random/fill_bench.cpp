// Random fills of 4 M elements: values per second on one thread and on all of them.
#include <benchmark/benchmark.h>
#include <lamina/core/storage.hpp>
#include <lamina/kernels/random_normal.hpp>
#include <lamina/random/permutation.hpp>

using namespace lamina;

namespace {

constexpr Index count = Index(4) << 20;

template <class T, class F>
void fill(benchmark::State& state, F f) {
    const int before = parallel::num_threads();
    if (state.range(0) == 1) parallel::set_num_threads(1);
    const auto storage = Storage::allocate(std::size_t(count) * sizeof(T));
    T* out = reinterpret_cast<T*>(storage->data());
    random::Key key{1, 0};
    for (auto _ : state) {
        f(key, out);
        ++key.stream;
        benchmark::ClobberMemory();
    }
    parallel::set_num_threads(before);
    state.counters["values/s"] = {double(count), benchmark::Counter::kIsIterationInvariantRate};
}

void uniform_float(benchmark::State& state) {
    fill<float>(state, [](const random::Key& key, float* out) { kernels::fill_uniform(key, out, count); });
}
void uniform_double(benchmark::State& state) {
    fill<double>(state, [](const random::Key& key, double* out) { kernels::fill_uniform(key, out, count); });
}
void normal_float(benchmark::State& state) {
    fill<float>(state, [](const random::Key& key, float* out) { kernels::fill_normal(key, out, count); });
}
void normal_double(benchmark::State& state) {
    fill<double>(state, [](const random::Key& key, double* out) { kernels::fill_normal(key, out, count); });
}
void truncated_normal_float(benchmark::State& state) {
    fill<float>(state, [](const random::Key& key, float* out) {
        kernels::fill_truncated_normal(key, out, count, 0.f, 1.f, -2.f, 2.f);
    });
}
void integers(benchmark::State& state) {
    fill<std::int64_t>(
        state, [](const random::Key& key, std::int64_t* out) { kernels::fill_integers(key, out, count, 0, 1000); });
}
void dropout_mask(benchmark::State& state) {
    fill<float>(state,
                [](const random::Key& key, float* out) { kernels::fill_bernoulli(key, out, count, 0.9, 1 / 0.9f); });
}
void permutation(benchmark::State& state) {
    fill<std::int64_t>(state, [](const random::Key& key, std::int64_t* out) { random::permutation(key, out, count); });
}

}  // namespace

// The argument: 1 thread, or 0 for all.
BENCHMARK(uniform_float)->Name("random_uniform_float")->Arg(1)->Arg(0)->UseRealTime();
BENCHMARK(uniform_double)->Name("random_uniform_double")->Arg(1)->UseRealTime();
BENCHMARK(normal_float)->Name("random_normal_float")->Arg(1)->Arg(0)->UseRealTime();
BENCHMARK(normal_double)->Name("random_normal_double")->Arg(1)->UseRealTime();
BENCHMARK(truncated_normal_float)->Name("random_truncated_normal_float")->Arg(1)->Arg(0)->UseRealTime();
BENCHMARK(integers)->Name("random_integers")->Arg(1)->UseRealTime();
BENCHMARK(dropout_mask)->Name("random_dropout_mask")->Arg(1)->UseRealTime();
BENCHMARK(permutation)->Name("random_permutation")->Arg(1)->UseRealTime();
