#pragma once
// Philox 4x32-10: random words as a function of a key and a position. No state runs along, so that any element of any
// stream can be made by any thread, or made again.
#include <lamina/core/index.hpp>

namespace lamina::inline LAMINA_ABI::random {

/// Four random words.
struct Block {
    std::uint32_t words[4];
    constexpr bool operator==(const Block&) const = default;
};

/// Multipliers and key increments of Philox 4x32.
inline constexpr std::uint32_t philox_multiplier_0 = 0xd2511f53u, philox_multiplier_1 = 0xcd9e8d57u;
inline constexpr std::uint32_t philox_weyl_0 = 0x9e3779b9u, philox_weyl_1 = 0xbb67ae85u;
inline constexpr int philox_rounds = 10;

/// The generator itself: a bijection of 128-bit counters for each 64-bit key.
/// J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
constexpr Block philox(Block counter, std::uint32_t key_0, std::uint32_t key_1) {
    auto [x0, x1, x2, x3] = counter.words;
    for (int round = 0; round < philox_rounds; ++round) {
        const std::uint64_t a = std::uint64_t(philox_multiplier_0) * x0, b = std::uint64_t(philox_multiplier_1) * x2;
        x0 = std::uint32_t(b >> 32) ^ x1 ^ key_0;
        x1 = std::uint32_t(b);
        x2 = std::uint32_t(a >> 32) ^ x3 ^ key_1;
        x3 = std::uint32_t(a);
        key_0 += philox_weyl_0;
        key_1 += philox_weyl_1;
    }
    return {{x0, x1, x2, x3}};
}

/// Names one sequence of random numbers: 2^64 seeds of 2^64 streams.
struct Key {
    std::uint64_t seed = 0, stream = 0;
    constexpr bool operator==(const Key&) const = default;
};

/// Block `index` of a sequence: counter (index, stream), low halves first, keyed by the seed.
constexpr Block block(const Key& key, std::uint64_t index) {
    return philox({{std::uint32_t(index), std::uint32_t(index >> 32), std::uint32_t(key.stream),
                    std::uint32_t(key.stream >> 32)}},
                  std::uint32_t(key.seed), std::uint32_t(key.seed >> 32));
}

/// 32 random bits for element i: word i mod 4 of block i / 4.
constexpr std::uint32_t word32(const Key& key, Index i) { return block(key, std::uint64_t(i) / 4).words[i % 4]; }
/// Words 0 and 1 (half 0), or 2 and 3 (half 1), of a block, the first of them on top.
constexpr std::uint64_t pair_of(const Block& b, Index half) {
    return std::uint64_t(b.words[half * 2]) << 32 | b.words[half * 2 + 1];
}
/// 64 random bits for element i: half i mod 2 of block i / 2.
constexpr std::uint64_t word64(const Key& key, Index i) { return pair_of(block(key, std::uint64_t(i) / 2), i % 2); }

}  // namespace lamina::inline LAMINA_ABI::random
