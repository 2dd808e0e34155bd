// 3 x 3 convolutions of networks by Winograd: weights prepared beforehand or transformed in the call, both tiles, and
// the gradients, on one thread and on all.
#include <benchmark/benchmark.h>
#include <lamina/kernels/conv/winograd/forward.hpp>
#include <lamina/kernels/conv/winograd/grad_weight.hpp>

#include <string>
#include <vector>

using namespace lamina;
using kernels::Conv2dGeometry;

namespace {

struct Layer {
    Index batch, channels, side;

    Conv2dGeometry geometry() const {
        return {batch, channels, side, side, channels, 3, 3, 1, 1, 1, 1, 1, 1, 1, side, side};
    }
};
const Layer layers[] = {{1, 320, 64}, {1, 640, 32}, {1, 1280, 16}, {1, 64, 56},  {1, 128, 28},
                        {1, 256, 14}, {1, 512, 7},  {8, 64, 56},   {32, 64, 28}, {1, 128, 512}};

struct Operands {
    std::vector<float> x, w, y;

    explicit Operands(const Layer& l)
        : x(numbers(l.batch * l.channels * l.side * l.side)),
          w(numbers(9 * l.channels * l.channels)),
          y(x.size()) {}

    static std::vector<float> numbers(Index n) {
        std::vector<float> v(std::size_t(n), 0.0f);
        for (Index i = 0; i < n; ++i) v[std::size_t(i)] = float(i * 37 % 1001 - 500) / 500;
        return v;
    }
};

/// Runs f on state.range(0) threads, all when 0, and counts the operations of the convolution by its definition.
template <class F>
void run(benchmark::State& state, const Layer& l, F f) {
    const int before = parallel::num_threads();
    if (state.range(0) > 0) parallel::set_num_threads(int(state.range(0)));
    f();  // maps the memory
    for (auto _ : state) {
        f();
        benchmark::ClobberMemory();
    }
    parallel::set_num_threads(before);
    const double work = 18.0 * double(l.batch * l.channels * l.channels * l.side * l.side);
    state.counters["FLOP/s"] = {work, benchmark::Counter::kIsIterationInvariantRate};
}

void prepared(benchmark::State& state, const Layer& l, int tile) {
    Operands o(l);
    const auto w = kernels::winograd_prepare(l.geometry(), tile, o.w.data());
    run(state, l, [&] { kernels::winograd_forward(l.geometry(), o.x.data(), w, o.y.data()); });
}
void plain(benchmark::State& state, const Layer& l) {
    Operands o(l);
    run(state, l, [&] { kernels::winograd_forward(l.geometry(), 4, o.x.data(), o.w.data(), o.y.data()); });
}
void grad_input(benchmark::State& state, const Layer& l) {
    Operands o(l);
    run(state, l, [&] { kernels::winograd_grad_input(l.geometry(), 4, o.x.data(), o.w.data(), o.y.data(), false); });
}
void grad_weight(benchmark::State& state, const Layer& l) {
    Operands o(l);
    run(state, l, [&] { kernels::winograd_grad_weight(l.geometry(), o.y.data(), o.x.data(), o.w.data(), false); });
}

[[maybe_unused]] const int registered = [] {
    for (const Layer& l : layers) {
        const std::string size = "/" + std::to_string(l.batch) + "x" + std::to_string(l.channels) + "x" +
                                 std::to_string(l.side) + "x" + std::to_string(l.side);
        const auto add = [&](const char* name, auto f) {
            benchmark::RegisterBenchmark((name + size).c_str(), f)->ArgName("threads")->Arg(1)->Arg(0)->UseRealTime();
        };
        add("winograd_4", [l](benchmark::State& state) { prepared(state, l, 4); });
        add("winograd_2", [l](benchmark::State& state) { prepared(state, l, 2); });
        add("winograd_4_plain_weights", [l](benchmark::State& state) { plain(state, l); });
        add("winograd_grad_input", [l](benchmark::State& state) { grad_input(state, l); });
        add("winograd_grad_weight", [l](benchmark::State& state) { grad_weight(state, l); });
    }
    return 0;
}();

}  // namespace
