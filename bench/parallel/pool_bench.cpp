// Price of a fork-join: a call with one small task per thread, and what is above the work itself.
#include <benchmark/benchmark.h>
#include <lamina/parallel/for.hpp>

using namespace lamina;

namespace {

void wait_for(std::int64_t nanoseconds) {
    for (const auto start = parallel::system::now(); parallel::system::now() - start < nanoseconds;) {}
}

struct Threads {
    int before = parallel::num_threads();
    explicit Threads(int n) { parallel::set_num_threads(n); }
    ~Threads() { parallel::set_num_threads(before); }
};

}  // namespace

// Every task waits until all have begun, so that the worker's arrival is inside the time.
static void fork_join_rendezvous(benchmark::State& state) {
    const Threads use(int(state.range(0)));
    const Index tasks = state.range(0);
    for (auto _ : state) {
        Index arrived = 0;
        parallel::for_each(tasks, [&](Index) {
            __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
            while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < tasks) parallel::system::relax();
        });
    }
}
BENCHMARK(fork_join_rendezvous)->Arg(2)->UseRealTime();

// The same with a pause between the calls, during which the workers fall asleep.
static void fork_join_asleep(benchmark::State& state) {
    const Threads use(int(state.range(0)));
    const Index tasks = state.range(0);
    for (auto _ : state) {
        wait_for(200'000);
        Index arrived = 0;
        const auto start = parallel::system::now();
        parallel::for_each(tasks, [&](Index) {
            __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
            while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < tasks) parallel::system::relax();
        });
        state.SetIterationTime(double(parallel::system::now() - start) * 1e-9);
    }
}
BENCHMARK(fork_join_asleep)->Arg(2)->UseManualTime();

// Work of 20 microseconds for each thread: ideal is 20.
static void fork_join_work(benchmark::State& state) {
    const Threads use(int(state.range(0)));
    const Index tasks = state.range(0);
    for (auto _ : state) parallel::for_each(tasks, [](Index) { wait_for(20'000); });
}
BENCHMARK(fork_join_work)->Arg(1)->Arg(2)->UseRealTime();

// What a loop costs that is too small to be shared.
static void for_range_inline(benchmark::State& state) {
    Index n = 100;
    for (auto _ : state) {
        benchmark::DoNotOptimize(n);
        parallel::for_range(n, 1000, [](Index begin, Index end) { benchmark::DoNotOptimize(begin + end); });
    }
}
BENCHMARK(for_range_inline);
