// Matrix products on model sizes, in place and with the second matrix packed beforehand, on one thread and on all.
#include <benchmark/benchmark.h>
#include <lamina/kernels/gemm/gemm.hpp>

#include <vector>

#include "../shapes.hpp"

using namespace lamina;

namespace {

template <class T>
std::vector<T> numbers(Index n) {
    std::vector<T> x;
    x.reserve(std::size_t(n));
    for (Index i = 0; i < n; ++i) x.push_back(T(i * 37 % 1001 - 500) / T(500));
    return x;
}

/// Runs f on state.range(0) threads, all when 0, and counts the product's floating-point operations.
template <class F>
void run(benchmark::State& state, const bench::Product& p, F f) {
    const int before = parallel::num_threads();
    if (state.range(0) > 0) parallel::set_num_threads(int(state.range(0)));
    f();  // maps the memory
    for (auto _ : state) {
        f();
        benchmark::ClobberMemory();
    }
    parallel::set_num_threads(before);
    state.counters["FLOP/s"] = {2.0 * double(p.m * p.n * p.k * p.batch), benchmark::Counter::kIsIterationInvariantRate};
    state.SetLabel(p.site);
}

template <class T>
struct Operands {
    std::vector<T> a, b, c;

    explicit Operands(const bench::Product& p)
        : a(numbers<T>(p.batch * p.m * p.k)),
          b(numbers<T>(p.batch * p.k * p.n)),
          c(numbers<T>(p.batch * p.m * p.n)) {}
};

template <class T>
void gemm(benchmark::State& state, const bench::Product& p) {
    Operands<T> o(p);
    run(state, p, [&] {
        kernels::gemm_batched(p.batch, {p.m, p.n, p.k}, kernels::row_major(o.a.data(), p.k), p.m * p.k,
                              kernels::row_major(o.b.data(), p.n), p.k * p.n, o.c.data(), p.n, p.m * p.n);
    });
}
void gemm_transposed_weight(benchmark::State& state, const bench::Product& p) {
    Operands<float> o(p);
    run(state, p, [&] {
        kernels::gemm({p.m, p.n, p.k}, kernels::row_major(o.a.data(), p.k), kernels::transposed(o.b.data(), p.k),
                      o.c.data(), p.n);
    });
}
void gemm_weight_gradient(benchmark::State& state, const bench::Product& p) {
    Operands<float> o(p);
    run(state, p, [&] {
        kernels::gemm({p.n, p.k, p.m}, kernels::transposed(o.c.data(), p.n), kernels::row_major(o.a.data(), p.k),
                      o.b.data(), p.k);
    });
}
void gemm_packed(benchmark::State& state, const bench::Product& p) {
    Operands<float> o(p);
    const auto packed = kernels::pack_b(p.k, p.n, kernels::row_major(o.b.data(), p.n));
    const auto bias = numbers<float>(p.n);
    run(state, p, [&] {
        kernels::gemm_packed(p.m, kernels::row_major(o.a.data(), p.k), packed, o.c.data(), p.n, false,
                             kernels::BiasColumns{bias.data()});
    });
}

[[maybe_unused]] const int registered = [] {
    const auto add = [](const char* name, auto f, const bench::Product& p) {
        std::string full(name);
        full.append("/").append(std::to_string(p.m)).append("x").append(std::to_string(p.n));
        full.append("x").append(std::to_string(p.k));
        if (p.batch > 1) full.append("/batch:").append(std::to_string(p.batch));
        benchmark::RegisterBenchmark(full.c_str(), f, p)->ArgName("threads")->Arg(1)->Arg(0)->UseRealTime();
    };
    for (const bench::Product& p : bench::products) {
        add("gemm_float", gemm<float>, p);
        if (!p.weight) continue;
        add("gemm_transposed_weight", gemm_transposed_weight, p);
        add("gemm_weight_gradient", gemm_weight_gradient, p);
        add("gemm_packed_bias", gemm_packed, p);
    }
    add("gemm_packed_bias", gemm_packed, bench::feed_forward);
    add("gemm_double", gemm<double>, bench::products[0]);
    return 0;
}();

}  // namespace
