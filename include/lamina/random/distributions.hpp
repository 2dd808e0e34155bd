#pragma once
// One number of a distribution as a function of key and position. These define what the vector fills of
// kernels/random.hpp produce, element for element and bit for bit.
#include <lamina/random/philox.hpp>

#include <type_traits>

namespace lamina::inline LAMINA_ABI::random {

/// `x` as it is, but rounded for itself: the compiler cannot fuse the product that made it with the sum that uses it.
template <class T>
LAMINA_INLINE T rounded(T x) {
    asm("" : "+m"(x));
    return x;
}

/// What a uniform fill needs to know, worked out once: [lo, hi) for lo < hi, and always lo for lo = hi.
template <class T>
struct UniformRange {
    T lo, width, top;  ///< `top` is the last number below hi, where rounding would reach hi itself
    constexpr UniformRange(T low, T high) : lo(low), width(high - low), top(low < high ? below(high) : low) {}

    static constexpr T below(T x) {
        using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
        if (x == 0) return -__builtin_bit_cast(T, Bits(1));
        const auto bits = __builtin_bit_cast(Bits, x);
        return __builtin_bit_cast(T, x > 0 ? Bits(bits - 1) : Bits(bits + 1));
    }
};

/// Element i of the uniform numbers in [0, 1): multiples of 2^-24 for float, of 2^-53 for double.
template <class T>
T uniform(const Key& key, Index i) {
    if constexpr (sizeof(T) == 4) return T(word32(key, i) >> 8) * T(0x1p-24);
    else return T(word64(key, i) >> 11) * T(0x1p-53);
}
/// Element i of the uniform numbers in [lo, hi), which never are hi. Wants lo <= hi and hi - lo finite.
template <class T>
T uniform(const Key& key, Index i, T lo, T hi) {
    const UniformRange<T> range(lo, hi);
    const T x = range.lo + rounded(range.width * uniform<T>(key, i));
    return x < range.top ? x : range.top;
}

/// Ranges up to this take one word for an integer, larger ones two.
inline constexpr std::uint64_t narrow_range = std::uint64_t(1) << 24;
/// Where the numbers come from after the first attempt was refused: the top byte of the block index counts attempts.
inline constexpr int attempt_shift = 56;

/// An integer in [0, range) from 32 bits, for range <= narrow_range; false when the bits are to be thrown away, since
/// the products do not spread evenly over the range.
/// D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29, 2019.
LAMINA_INLINE bool scale_word(std::uint32_t word, std::uint64_t range, std::uint64_t& result) {
    const std::uint64_t product = word * range;
    result = product >> 32;
    const auto rest = std::uint32_t(product);
    return rest >= range || rest >= (std::uint64_t(1) << 32) % range;
}
/// The same from 64 bits for any range.
LAMINA_INLINE bool scale_word(std::uint64_t word, std::uint64_t range, std::uint64_t& result) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide(word) * range;
    result = std::uint64_t(product >> 64);
    const auto rest = std::uint64_t(product);
    return rest >= range || rest >= (0 - range) % range;
}

/// Element i of the integers in [0, range), each equally probable.
inline std::uint64_t below(const Key& key, Index i, std::uint64_t range) {
    std::uint64_t result = 0;
    for (std::uint64_t attempt = 0; attempt < 256; ++attempt) {
        if (range <= narrow_range) {
            const Block b = block(key, std::uint64_t(i) / 4 | attempt << attempt_shift);
            if (scale_word(b.words[i % 4], range, result)) break;
        } else {
            const Block b = block(key, std::uint64_t(i) / 2 | attempt << attempt_shift);
            if (scale_word(pair_of(b, i % 2), range, result)) break;
        }
    }
    return result;
}

/// Element i of the integers in [low, high), each equally probable. Wants low < high.
inline std::int64_t integer(const Key& key, Index i, std::int64_t low, std::int64_t high) {
    return std::int64_t(std::uint64_t(low) + below(key, i, std::uint64_t(high) - std::uint64_t(low)));
}

/// A word below this is a success of probability p, to the nearest 2^-32; 0 is never and 1 always.
constexpr std::uint64_t success_limit(double p) { return std::uint64_t(p * 0x1p32 + 0.5); }
/// Element i of the trials that succeed with probability p in [0, 1].
constexpr bool bernoulli(const Key& key, Index i, double p) { return word32(key, i) < success_limit(p); }

}  // namespace lamina::inline LAMINA_ABI::random
