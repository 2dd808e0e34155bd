#pragma once
// Lanes change places: interleaving for pixel shuffle and channels-last layouts, transposition of register tiles,
// reversal and rotation. Written with the compilers' shuffle, which picks the instructions.
#include <lamina/simd/vec.hpp>

namespace lamina::inline LAMINA_ABI::simd {

/// Two vectors, as returned by interleave and deinterleave.
template <class V>
struct Pair {
    V first, second;
};

namespace raw {

/// Lanes I… of the 2 * width lanes of a and b.
template <int... I, class T, class Arch>
LAMINA_INLINE Vec<T, Arch> shuffle(Vec<T, Arch> a, Vec<T, Arch> b) {
    return Vec<T, Arch>::wrap(__builtin_shufflevector(a.v, b.v, I...));
}
template <class Of, class T, class Arch, int... I>
LAMINA_INLINE Vec<T, Arch> shuffle_by(Vec<T, Arch> a, Vec<T, Arch> b, std::integer_sequence<int, I...>) {
    return shuffle<Of::lane(I, int(sizeof...(I)))...>(a, b);
}
template <class Of, class T, class Arch>
LAMINA_INLINE Vec<T, Arch> shuffle(Vec<T, Arch> a, Vec<T, Arch> b) {
    return shuffle_by<Of>(a, b, std::make_integer_sequence<int, Vec<T, Arch>::width>{});
}

struct InterleaveLow {
    static constexpr int lane(int i, int w) { return i / 2 + i % 2 * w; }
};
struct InterleaveHigh {
    static constexpr int lane(int i, int w) { return w / 2 + i / 2 + i % 2 * w; }
};
struct Evens {
    static constexpr int lane(int i, int) { return 2 * i; }
};
struct Odds {
    static constexpr int lane(int i, int) { return 2 * i + 1; }
};
struct Reverse {
    static constexpr int lane(int i, int w) { return w - 1 - i; }
};
// Blocks of Size lanes: the even blocks of both, or the odd ones, each of a's followed by b's.
template <int Size>
struct EvenBlocks {
    static constexpr int lane(int i, int w) { return i / Size % 2 == 0 ? i : i - Size + w; }
};
template <int Size>
struct OddBlocks {
    static constexpr int lane(int i, int w) { return i / Size % 2 == 0 ? i + Size : i + w; }
};

}  // namespace raw

/// {a0, b0, a1, b1, …}: the lower half, then the upper half.
template <class T, class Arch>
LAMINA_INLINE Pair<Vec<T, Arch>> interleave(Vec<T, Arch> a, Vec<T, Arch> b) {
    if constexpr (Vec<T, Arch>::width == 1) return {a, b};
    else return {raw::shuffle<raw::InterleaveLow>(a, b), raw::shuffle<raw::InterleaveHigh>(a, b)};
}

/// The inverse of interleave: the even lanes of a then b, and the odd lanes.
template <class T, class Arch>
LAMINA_INLINE Pair<Vec<T, Arch>> deinterleave(Vec<T, Arch> a, Vec<T, Arch> b) {
    if constexpr (Vec<T, Arch>::width == 1) return {a, b};
    else return {raw::shuffle<raw::Evens>(a, b), raw::shuffle<raw::Odds>(a, b)};
}

/// Lanes from last to first.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> reverse(Vec<T, Arch> a) {
    if constexpr (Vec<T, Arch>::width == 1) return a;
    else return raw::shuffle<raw::Reverse>(a, a);
}

/// Transposes a square tile in registers: lane j of row i changes places with lane i of row j. log2(width) rounds, each
/// exchanging off-diagonal blocks half the size.
template <class T, class Arch, int Rows>
LAMINA_INLINE void transpose(Vec<T, Arch> (&rows)[Rows]) {
    constexpr int width = Vec<T, Arch>::width;
    static_assert(Rows == width, "transpose: as many rows as lanes");
    const auto round = [&]<int Size>(std::integral_constant<int, Size>) LAMINA_INLINE_LAMBDA {
        if constexpr (Size < width)
            unroll<width / 2>([&](auto k) LAMINA_INLINE_LAMBDA {
                constexpr int i = k / Size * 2 * Size + k % Size;
                const auto a = rows[i], b = rows[i + Size];
                rows[i] = raw::shuffle<raw::EvenBlocks<Size>>(a, b);
                rows[i + Size] = raw::shuffle<raw::OddBlocks<Size>>(a, b);
            });
    };
    round(std::integral_constant<int, 1>{});
    round(std::integral_constant<int, 2>{});
    round(std::integral_constant<int, 4>{});
    round(std::integral_constant<int, 8>{});
}

}  // namespace lamina::inline LAMINA_ABI::simd
