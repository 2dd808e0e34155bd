#pragma once
// How a race is described and run: a row is a workload with its contestants; every contestant of a row is timed in
// turn, round after round in one process, so that a change in the machine's speed hits all of them alike.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace peers {

using Index = std::int64_t;

/// A workload ready to run: `run` does it once, `result(i)` is element i of the last output (for the agreement check).
struct Call {
    std::function<void()> run;
    std::function<double(Index)> result = {};
    double scale = 1;  // time for the row = scale * time of one run
};

/// One library's way to do a row's workload. `prepare` runs untimed, after the thread count is set: it packs weights,
/// builds primitives and allocates whatever a user would keep between calls.
struct Contestant {
    std::string library, variant;
    std::function<Call()> prepare;
};
using Contestants = std::vector<Contestant>;

/// What a row is counted in where neither operations nor bytes say much: images, tokens.
struct Items {
    double count = 0;
    const char* name = "";
};

/// What the machine must at least do for a row: floating-point operations, or whole arrays of floats streamed through.
struct Limit {
    double flops = 0;
    bool in_double = false;
    int reads = 0, writes = 0, updates = 0;
    Index floats = 0;  // per array
    Items items = {};

    double bytes() const { return 4.0 * double(floats) * (reads + writes + 2 * updates); }
};
inline Limit arithmetic(double flops, bool in_double = false) { return {.flops = flops, .in_double = in_double}; }
inline Limit streaming(Index floats, int reads, int writes, int updates = 0) {
    return {.reads = reads, .writes = writes, .updates = updates, .floats = floats};
}

/// A workload: `outputs` elements of each contestant's result must agree to `tolerance` of the largest one (0: no
/// check).
struct Row {
    std::string name;
    Limit limit;
    Index outputs;
    double tolerance;
    std::function<Contestants()> contestants;  // allocates the inputs, so called only for rows that run
};
using Rows = std::vector<Row>;

/// Lower-quartile seconds of a library's fastest variant.
struct Timing {
    double seconds = 0;
    std::string variant;
};

struct Measurement {
    std::string row;
    int threads = 1;
    Limit limit;
    std::map<std::string, Timing> timings;  // by library, "machine" being the limit itself
    std::string disagreement;               // empty when all contestants computed the same

    const Timing* find(const std::string& library) const;
    const Timing* fastest_peer(std::string* name = nullptr) const;
    /// Fastest peer's time over ours, 0 when either is missing.
    double ratio() const;
    /// The machine's own time for the row's limit over ours (over the fastest peer's while ours is missing).
    double share() const;
};

struct Options {
    double seconds_per_row = 1.5;
    double seconds_per_sample = 2e-3;
    int least_rounds = 7, most_rounds = 60;
};

/// Runs one row at one thread count.
Measurement measure(const Row& row, int threads, const Options& options);

/// The table in Markdown, and the closing lines that scripts read.
std::string markdown(const std::vector<Measurement>& results);
std::string summary(const std::vector<Measurement>& results);
std::string json(const std::vector<Measurement>& results, const std::map<std::string, std::string>& machine);

inline const char* const us = "lamina";
inline const char* const machine_limit = "machine";

}  // namespace peers
