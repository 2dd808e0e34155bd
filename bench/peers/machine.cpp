#include "machine.hpp"

#include <sched.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "problems.hpp"

namespace peers::machine {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif
template <class T>
struct Lanes {
    using type __attribute__((vector_size(vector_bytes))) = T;
};
using Floats = Lanes<float>::type;
constexpr Index width = vector_bytes / 4;

inline void store_past_caches(Floats* p, Floats v) {
#if defined(__clang__)
    __builtin_nontemporal_store(v, p);
#elif defined(__AVX512F__)
    _mm512_stream_ps(reinterpret_cast<float*>(p), v);
#elif defined(__AVX__)
    _mm256_stream_ps(reinterpret_cast<float*>(p), v);
#elif defined(__SSE__)
    _mm_stream_ps(reinterpret_cast<float*>(p), v);
#else
    *p = v;
#endif
}

inline void fence() {
#if defined(__SSE__)
    _mm_sfence();
#endif
}

// f(i) on each of `threads` threads at once, the caller being the last of them.
template <class F>
void on_threads(int threads, F f) {
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(f, i);
    f(0);
    for (auto& t : others) t.join();
}

volatile float sink;

constexpr int chains =
    12;  // enough to hide the latency of two FMA units of any known core, few enough for 16 registers

template <class T>
void multiply_add(Index steps) {
    using V = typename Lanes<T>::type;
    V sums[chains];
    for (int i = 0; i < chains; ++i) sums[i] = V{} + T(i);
    const V x = V{} + T(0.999), y = V{} + T(1e-3);
    for (Index s = 0; s < steps; ++s)
#pragma GCC unroll 12
        for (int i = 0; i < chains; ++i) sums[i] = sums[i] * x + y;
    T total = 0;
    for (const auto& v : sums) total += v[0];
    sink = float(total);
}

template <class T>
Contestant arithmetic_limit(double flops, int threads) {
    return {machine_limit, "multiply-add from registers", [=] {
                const Index steps = 1'000'000;
                const double done = 2.0 * double(steps) * chains * (vector_bytes / double(sizeof(T))) * threads;
                const auto run = [=] { on_threads(threads, [=](int) { multiply_add<T>(steps); }); };
                return Call{run, {}, flops / done};
            }};
}

struct Streams {
    std::vector<Array<float>> reads, writes, updates;
};

// Touches vectors [begin, end) of every array once: R are read, W are written, U are scaled in place. `lanes` runs
// through that many parts of the range side by side: several pages at once keep more of the prefetchers busy.
template <int R, int W, int U, bool PastCaches>
void stream(const Streams& s, Index begin, Index end, Index lanes) {
    const Floats* read[R + 1];
    Floats *write[W + 1], *update[U + 1];
    for (int i = 0; i < R; ++i) read[i] = reinterpret_cast<const Floats*>(s.reads[std::size_t(i)].data());
    for (int i = 0; i < W; ++i) write[i] = reinterpret_cast<Floats*>(s.writes[std::size_t(i)].data());
    for (int i = 0; i < U; ++i) update[i] = reinterpret_cast<Floats*>(s.updates[std::size_t(i)].data());
    constexpr int unroll = 4;
    Floats sums[unroll] = {};
    const Floats scale = Floats{} + 0.999f;
    const Index part = (end - begin) / lanes / unroll * unroll;
    for (Index start = begin; start < begin + part; start += unroll)
        for (Index v = start; v < start + lanes * part; v += part)
#pragma GCC unroll 4
            for (int j = 0; j < unroll; ++j) {
                Floats x = {};
                for (int i = 0; i < R; ++i) x += read[i][v + j];
                for (int i = 0; i < W; ++i)
                    PastCaches ? store_past_caches(write[i] + v + j, x) : void(write[i][v + j] = x);
                for (int i = 0; i < U; ++i) update[i][v + j] = update[i][v + j] * scale + x;
                if (W + U == 0) sums[j] += x;
            }
    if (PastCaches) fence();
    for (const auto& x : sums) sink = x[0];
}

using StreamFunction = void (*)(const Streams&, Index, Index, Index);

template <bool PastCaches>
StreamFunction pick(const Limit& l) {
    const auto is = [&](int r, int w, int u) { return l.reads == r && l.writes == w && l.updates == u; };
    if (is(1, 0, 0)) return stream<1, 0, 0, PastCaches>;
    if (is(0, 1, 0)) return stream<0, 1, 0, PastCaches>;
    if (is(1, 1, 0)) return stream<1, 1, 0, PastCaches>;
    if (is(2, 1, 0)) return stream<2, 1, 0, PastCaches>;
    if (is(0, 0, 1)) return stream<0, 0, 1, PastCaches>;
    if (is(1, 0, 1)) return stream<1, 0, 1, PastCaches>;
    if (is(1, 0, 2)) return stream<1, 0, 2, PastCaches>;
    if (is(1, 0, 3)) return stream<1, 0, 3, PastCaches>;
    std::fprintf(stderr, "no stream of %d reads, %d writes, %d updates: add it in machine.cpp\n", l.reads, l.writes,
                 l.updates);
    std::exit(2);
}

Streams make_streams(const Limit& limit) {
    Streams s;
    for (int i = 0; i < limit.reads; ++i) s.reads.emplace_back(limit.floats);
    for (int i = 0; i < limit.writes; ++i) s.writes.emplace_back(limit.floats);
    for (int i = 0; i < limit.updates; ++i) s.updates.emplace_back(limit.floats);
    return s;
}

// The ways to stream the limit's arrays, all over the same arrays.
Contestants streaming_limits(const Limit& limit, int threads) {
    const Streams s = make_streams(limit);
    Contestants out;
    for (Index lanes : {1, 4, 8})
        for (bool past_caches : {false, true}) {
            if (past_caches && limit.writes == 0) continue;
            const auto function = past_caches ? pick<true>(limit) : pick<false>(limit);
            const Index vectors = limit.floats / width;
            // Several passes hide the starting of the threads.
            const int passes = int(std::clamp(64e6 / limit.bytes(), 1.0, 1000.0));
            const auto run = [=] {
                on_threads(threads, [&](int t) {
                    const Index begin = vectors * t / threads, end = vectors * (t + 1) / threads;
                    for (int p = 0; p < passes; ++p) function(s, begin, end, lanes);
                });
            };
            out.push_back(
                {machine_limit,
                 (past_caches ? "non-temporal, pages at once: " : "plain, pages at once: ") + std::to_string(lanes),
                 [=] {
                     return Call{run, {}, 1.0 / passes};
                 }});
        }
    return out;
}

double best_seconds(const Contestant& c, int rounds) {
    const auto call = c.prepare();
    double best = 1e30;
    for (int i = 0; i < rounds; ++i) {
        const auto start = std::chrono::steady_clock::now();
        call.run();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best * call.scale;
}

}  // namespace

Contestants contestants(const Limit& limit, int threads) {
    if (limit.flops > 0)
        return {limit.in_double ? arithmetic_limit<double>(limit.flops, threads)
                                : arithmetic_limit<float>(limit.flops, threads)};
    return limit.floats == 0 ? Contestants{} : streaming_limits(limit, threads);
}

int processors() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    return int(std::thread::hardware_concurrency());
}

std::string cpu_name() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.rfind("model name", 0) == 0) return line.substr(line.find(": ") + 2);
    return "unknown processor";
}

std::string peaks() {
    std::string out;
    for (int threads : {1, processors()}) {
        if (threads == 1 && !out.empty()) break;
        constexpr Index large = 64 << 20;  // floats: 256 MB, beyond any cache
        const auto gigabytes = [&](const Limit& l, bool past_caches) {
            double best = 1e30;
            for (const auto& c : streaming_limits(l, threads))
                if (past_caches == (c.variant[0] == 'n')) best = std::min(best, best_seconds(c, 4));
            return l.bytes() / best * 1e-9;
        };
        char line[256];
        std::snprintf(line, sizeof line,
                      "%d thread%s: %.0f GFLOP/s float, %.0f double; GB/s from memory: read %.1f, copy %.1f, copy "
                      "non-temporal %.1f, write non-temporal %.1f, update in place %.1f\n",
                      threads, threads > 1 ? "s" : "", 1e-9 / best_seconds(arithmetic_limit<float>(1, threads), 200),
                      1e-9 / best_seconds(arithmetic_limit<double>(1, threads), 200),
                      gigabytes(streaming(large, 1, 0), false), gigabytes(streaming(large, 1, 1), false),
                      gigabytes(streaming(large, 1, 1), true), gigabytes(streaming(large, 0, 1), true),
                      gigabytes(streaming(large, 0, 0, 1), false));
        out += line;
    }
    return out;
}

}  // namespace peers::machine
