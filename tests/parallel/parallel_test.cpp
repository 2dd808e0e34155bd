// Loops, reductions and scratch memory over the pool: every item once, the same chunks and bits for any number of
// threads, exceptions in order, several callers at once, fork.
#include <doctest/doctest.h>
#include <lamina/parallel/for.hpp>
#include <lamina/parallel/reduce.hpp>
#include <lamina/parallel/scratch.hpp>

#include <sys/wait.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace lamina;

#if defined(__SANITIZE_THREAD__)
#define LAMINA_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LAMINA_TEST_TSAN 1
#endif
#endif

namespace {

struct Threads {
    int before = parallel::num_threads();
    explicit Threads(int n) { parallel::set_num_threads(n); }
    ~Threads() { parallel::set_num_threads(before); }
};

using Chunks = std::vector<std::pair<Index, Index>>;
Chunks chunks_of(Index n, Index grain) {
    Chunks seen(n > 0 ? std::size_t((n - 1) / grain + 1) : 0, {-1, -1});
    parallel::for_range(n, grain, [&](Index begin, Index end) { seen[std::size_t(begin / grain)] = {begin, end}; });
    return seen;
}

}  // namespace

TEST_CASE("for_each: every index runs exactly once for any number of threads") {
    for (int threads : {1, 2, 3, 8, 40}) {
        const Threads use(threads);
        for (Index count : {-1, 0, 1, 2, 3, 7, 8, 1000}) {
            std::vector<std::atomic<int>> visits(std::size_t(count > 0 ? count : 0));
            parallel::for_each(count, [&](Index i) { ++visits[std::size_t(i)]; });
            for (const auto& v : visits) CHECK(v == 1);
        }
    }
}

TEST_CASE("for_range: chunks follow from n and grain, not from the number of threads") {
    CHECK(chunks_of(0, 4).empty());
    CHECK(chunks_of(3, 4) == Chunks{{0, 3}});
    CHECK(chunks_of(4, 4) == Chunks{{0, 4}});
    for (int threads : {1, 2, 5}) {
        const Threads use(threads);
        CHECK(chunks_of(10, 4) == Chunks{{0, 4}, {4, 8}, {8, 10}});
        CHECK(chunks_of(3, 1) == Chunks{{0, 1}, {1, 2}, {2, 3}});
    }
    Index last = 0;
    parallel::for_range(Index(0x7fffffffffffffff), Index(0x7fffffffffffffff), [&](Index, Index end) { last = end; });
    CHECK(last == Index(0x7fffffffffffffff));
}

TEST_CASE("for_each: a worker takes part, and runs beside the caller") {
    const Threads use(2);
    std::atomic<int> arrived = 0, met = 0;
    parallel::for_each(2, [&](Index) {
        ++arrived;
        const auto deadline = parallel::system::now() + 20'000'000'000;
        while (arrived < 2 && parallel::system::now() < deadline) parallel::system::relax();
        met += arrived == 2;
    });
    CHECK(met == 2);
}

TEST_CASE("for_each: nested loops stay on the thread of their task") {
    const Threads use(4);
    std::atomic<int> strays = 0, inner = 0;
    parallel::for_each(16, [&](Index) {
        const int here = parallel::thread_index();
        parallel::for_each(10, [&](Index) {
            ++inner;
            strays += parallel::thread_index() != here;
        });
    });
    CHECK(inner == 160);
    CHECK(strays == 0);
}

TEST_CASE("for_range: a single chunk may itself run parallel loops") {
    const Threads use(2);
    std::atomic<int> arrived = 0, met = 0;
    parallel::for_range(5, 5, [&](Index, Index) {
        parallel::for_each(2, [&](Index) {
            ++arrived;
            const auto deadline = parallel::system::now() + 20'000'000'000;
            while (arrived < 2 && parallel::system::now() < deadline) parallel::system::relax();
            met += arrived == 2;
        });
    });
    CHECK(met == 2);
}

TEST_CASE("thread_index: lies below num_threads and is held by one task at a time") {
    const Threads use(6);
    std::vector<std::atomic<int>> holders(6);
    std::atomic<int> clashes = 0;
    for (int repeat = 0; repeat < 20; ++repeat)
        parallel::for_each(100, [&](Index) {
            const int t = parallel::thread_index();
            if (t < 0 || t >= 6) {
                ++clashes;
                return;
            }
            clashes += ++holders[std::size_t(t)] != 1;
            --holders[std::size_t(t)];
        });
    CHECK(clashes == 0);
    CHECK(parallel::thread_index() == 0);
}

TEST_CASE("for_each: several threads of the program may call at once") {
    const Threads use(3);
    std::atomic<Index> wrong = 0;
    std::vector<std::thread> callers;
    for (int t = 0; t < 4; ++t)
        callers.emplace_back([&wrong, t] {
            for (int repeat = 0; repeat < 200; ++repeat) {
                const Index n = 1000 + t;
                std::vector<Index> out(std::size_t(n), -1);
                parallel::for_range(n, 50, [&](Index begin, Index end) {
                    for (Index i = begin; i < end; ++i) out[std::size_t(i)] = i * t;
                });
                for (Index i = 0; i < n; ++i) wrong += out[std::size_t(i)] != i * t;
            }
        });
    for (auto& caller : callers) caller.join();
    CHECK(wrong == 0);
}

TEST_CASE("for_each: the exception of the first failing chunk reaches the caller, the ones before it have run") {
    for (int threads : {1, 2, 4}) {
        const Threads use(threads);
        for (int repeat = 0; repeat < 20; ++repeat) {
            std::vector<std::atomic<int>> visits(64);
            std::string caught;
            try {
                parallel::for_each(64, [&](Index i) {
                    ++visits[std::size_t(i)];
                    if (i % 7 == 5) throw std::to_string(i);
                });
            } catch (const std::string& text) { caught = text; }
            CHECK(caught == "5");
            for (int i = 0; i <= 5; ++i) CHECK(visits[std::size_t(i)] == 1);
        }
        int calls = 0;
        CHECK_THROWS_AS(parallel::for_range(3, 8, [&](Index, Index) { ++calls, throw 1; }), int);
        CHECK(calls == 1);
        CHECK(chunks_of(10, 4) == Chunks{{0, 4}, {4, 8}, {8, 10}});
    }
}

TEST_CASE("set_num_threads: refuses less than one and cuts at the greatest number") {
    const Threads use(3);
    CHECK(parallel::num_threads() == 3);
    std::string text;
    try {
        parallel::set_num_threads(0);
    } catch (const ValueError& e) { text = e.what(); }
    CHECK(text == "set_num_threads: the number must be at least 1 but is 0");
    CHECK(parallel::num_threads() == 3);
    parallel::set_num_threads(1 << 20);
    CHECK(parallel::num_threads() == parallel::max_threads);
}

TEST_CASE("reduce: combines in the order of the chunks, the same bits for any number of threads") {
    const auto digits = [] {
        return parallel::reduce(
            10, 3, std::string("start"),
            [](Index begin, Index end) { return " " + std::to_string(begin) + "-" + std::to_string(end); },
            [](const std::string& a, const std::string& b) { return a + b; });
    };
    const auto sum = [](Index n) {
        return parallel::reduce(
            n, 1000, 0.f,
            [](Index begin, Index end) {
                float s = 0;
                for (Index i = begin; i < end; ++i) s += 1.f / float(i + 1);
                return s;
            },
            [](float a, float b) { return a + b; });
    };
    parallel::set_num_threads(1);
    const float one = sum(100001);
    for (int threads : {1, 2, 3, 7}) {
        const Threads use(threads);
        CHECK(digits() == "start 0-3 3-6 6-9 9-10");
        CHECK(sum(100001) == one);
        CHECK(sum(0) == 0.f);
        CHECK(sum(1) == 1.f);
    }
}

TEST_CASE("scratch: aligned, kept while it need not grow, one buffer per slot and thread") {
    float* a = parallel::scratch<float>(100, 0);
    double* b = parallel::scratch<double>(100, 1);
    CHECK(reinterpret_cast<std::uintptr_t>(a) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(b) % 64 == 0);
    CHECK(static_cast<void*>(a) != static_cast<void*>(b));
    CHECK(parallel::scratch<float>(7, 0) == a);
    CHECK(static_cast<void*>(parallel::scratch<char>(400, 0)) == static_cast<void*>(a));
    float* grown = parallel::scratch<float>(100000, 0);
    grown[99999] = 1;
    CHECK(parallel::scratch<float>(100000, 0) == grown);
    CHECK(parallel::scratch<float>(0, 2) != nullptr);
    float* elsewhere = nullptr;
    std::thread([&] { elsewhere = parallel::scratch<float>(100, 0); }).join();
    CHECK(elsewhere != grown);
}

TEST_CASE("grain_for: shrinks with the work of an item and never reaches 0") {
    CHECK(parallel::grain_for(1) == 32768);
    CHECK(parallel::grain_for(1000) == 32);
    CHECK(parallel::grain_for(0) == 32768);
    CHECK(parallel::grain_for(Index(1) << 40) == 1);
}

// The thread sanitizer refuses threads in the child of a fork, and so does qemu, under which the suite runs for ARM.
#if !defined(LAMINA_TEST_TSAN) && !defined(LAMINA_ISA_NEON64)
TEST_CASE("fork: the child has a pool of its own, and the parent keeps its") {
    const Threads use(3);
    parallel::for_each(100, [](Index) {});
    const auto works = [] {
        std::atomic<int> arrived = 0, met = 0;
        parallel::for_each(2, [&](Index) {
            ++arrived;
            const auto deadline = parallel::system::now() + 20'000'000'000;
            while (arrived < 2 && parallel::system::now() < deadline) parallel::system::relax();
            met += arrived == 2;
        });
        return met == 2;
    };
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        bool good = works();
        setenv("LAMINA_NUM_THREADS", "5", 1);
        parallel::detail::pool.threads = 0;
        good = good && parallel::num_threads() == 5;
        _exit(good ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(works());
}
#endif
