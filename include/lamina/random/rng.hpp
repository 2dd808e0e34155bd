#pragma once
// The random generator that programs hold and pass: a seed and the number of the next stream, nothing else.
#include <lamina/random/distributions.hpp>

namespace lamina::inline LAMINA_ABI::random {

/// Source of random numbers. Each sampling call takes a stream of its own; element i of a call depends on the seed, the
/// stream and i alone. Copying it repeats the numbers. Not to be shared by threads without a lock.
class Rng {
public:
    constexpr explicit Rng(std::uint64_t seed = 0) : key_{seed, 0} {}
    /// Goes on where another generator of that seed stood when its `stream()` was read.
    constexpr Rng(std::uint64_t seed, std::uint64_t stream) : key_{seed, stream} {}

    constexpr std::uint64_t seed() const { return key_.seed; }
    /// Number of the stream that the next call takes. With the seed this is the whole state.
    constexpr std::uint64_t stream() const { return key_.stream; }
    /// Takes a fresh stream.
    constexpr Key next_stream() {
        const Key taken = key_;
        ++key_.stream;
        return taken;
    }

    /// One number in [lo, hi).
    template <class T = float>
    T uniform(T lo = 0, T hi = 1) {
        return random::uniform<T>(next_stream(), 0, lo, hi);
    }
    /// One integer in [low, high), each equally probable. Wants low < high.
    std::int64_t integer(std::int64_t low, std::int64_t high) { return random::integer(next_stream(), 0, low, high); }
    /// True with probability p.
    constexpr bool bernoulli(double p) { return random::bernoulli(next_stream(), 0, p); }

    constexpr bool operator==(const Rng&) const = default;

private:
    Key key_;
};

}  // namespace lamina::inline LAMINA_ABI::random
