#include "harness.hpp"

#include "machine.hpp"
#include "peers.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <thread>

namespace peers {
namespace {

// Seconds on the clock of a race: wall time, but with one thread that thread's own time, which does not tick while
// another process has the core.
double now(int threads) {
    timespec t;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

double time_of(const std::function<void()>& run, int calls, int threads) {
    const double start = now(threads);
    for (int i = 0; i < calls; ++i) run();
    return (now(threads) - start) / calls;
}

double lower_quartile(std::vector<double> times) {
    std::sort(times.begin(), times.end());
    return times[times.size() / 4];
}

struct Entrant {
    const Contestant* contestant;
    Call call;
    double estimate = 0;
    int calls = 1;
    std::vector<double> times = {};
    bool dropped = false;

    double cost() const { return estimate * (calls + (warm_up() ? 1 : 0)); }
    // A long call warms its own caches; a short one first takes back what the contestant before it evicted.
    bool warm_up() const { return estimate < 10e-3; }
};

// Largest difference between two results over a sample of elements, relative to the largest element seen.
double disagreement(const Call& a, const Call& b, Index outputs) {
    double worst = 0, largest = 1e-30;
    for (Index i = 0, step = std::max<Index>(1, outputs / 997); i < outputs; i += step) {
        const double x = a.result(i), y = b.result(i);
        const double d = std::abs(x - y);
        worst = std::isnan(d) ? INFINITY : std::max(worst, d);
        largest = std::max({largest, std::abs(x), std::abs(y)});
    }
    return worst / largest;
}

std::string check(const Row& row, const std::vector<Entrant>& entrants) {
    const Entrant* first = nullptr;
    for (const auto& e : entrants) {
        if (!e.call.result || row.tolerance == 0) continue;
        if (!first) first = &e;
        const double d = disagreement(first->call, e.call, row.outputs);
        if (!(d <= row.tolerance))
            return first->contestant->library + " and " + e.contestant->library + " " + e.contestant->variant +
                   " differ by " + std::to_string(d) + " of the largest element";
    }
    return {};
}

// Once a variant is far behind another one of its library, or very far behind anyone, rounds are better spent
// elsewhere.
void drop_hopeless(std::vector<Entrant>& entrants) {
    const auto seconds = [](const Entrant& e) { return lower_quartile(e.times) * e.call.scale; };
    for (auto& e : entrants)
        for (const auto& other : entrants) {
            const bool same = e.contestant->library == other.contestant->library;
            const bool peers = !same && other.contestant->library != machine_limit;
            if ((same && seconds(e) > 1.3 * seconds(other)) || (peers && seconds(e) > 4 * seconds(other)))
                e.dropped = true;
        }
}

}  // namespace

Measurement measure(const Row& row, int threads, const Options& options) {
    set_threads(threads);
    Measurement m{.row = row.name, .threads = threads, .limit = row.limit, .timings = {}, .disagreement = {}};
    auto contestants = row.contestants();
    for (auto& c : machine::contestants(row.limit, threads)) contestants.push_back(std::move(c));

    std::vector<Entrant> entrants;
    for (const auto& c : contestants) {
        set_threads(threads);  // preparing a contestant may have changed what it shares with others
        entrants.push_back({.contestant = &c, .call = c.prepare()});
        entrants.back().call.run();
    }
    m.disagreement = check(row, entrants);  // after one run each: some have state that moves on
    for (auto& e : entrants) {
        e.estimate = time_of(e.call.run, 1, threads);
        e.calls = int(std::clamp(options.seconds_per_sample / e.estimate, 1.0, 2000.0));
        if (e.calls > 1) e.estimate = time_of(e.call.run, e.calls, threads);
    }

    double left = options.seconds_per_row;
    for (int round = 0; round < options.most_rounds && (left > 0 || round < options.least_rounds); ++round) {
        const auto count = entrants.size();
        for (std::size_t i = 0; i < count; ++i) {
            // A new starting point each round, and every second round backwards: no one has a fixed predecessor.
            const auto turn = (i + std::size_t(round) / 2) % count;
            auto& e = entrants[round % 2 ? count - 1 - turn : turn];
            if (e.dropped) continue;
            // Idle workers of the library before may spin for a while; let them fall asleep.
            if (threads > 1) std::this_thread::sleep_for(std::chrono::microseconds(500));
            if (e.warm_up()) e.call.run();
            const double t = time_of(e.call.run, e.calls, threads);
            e.times.push_back(t);
            left -= t * e.calls + (e.warm_up() ? t : 0);
        }
        if (round == 2) drop_hopeless(entrants);
    }
    for (const auto& e : entrants) {
        const double t = lower_quartile(e.times) * e.call.scale;
        auto& best = m.timings[e.contestant->library];
        if (best.seconds == 0 || t < best.seconds) best = {t, e.contestant->variant};
    }
    return m;
}

}  // namespace peers
