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
struct ShiftIn {
    static constexpr int lane(int i, int w) { return w - 1 + i; }
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
// Vector K of three interleaved ones, in two steps: a and b (any lane where c belongs), then that and c.
template <int K>
struct InterleaveTwoOfThree {
    static constexpr int lane(int i, int w) { return (K * w + i) % 3 == 1 ? w + (K * w + i) / 3 : (K * w + i) / 3; }
};
template <int K>
struct InterleaveThird {
    static constexpr int lane(int i, int w) { return (K * w + i) % 3 == 2 ? w + (K * w + i) / 3 : i; }
};
// Every third lane from K on of three vectors, in two steps likewise.
template <int K>
struct ThirdsOfTwo {
    static constexpr int lane(int i, int w) { return 3 * i + K < 2 * w ? 3 * i + K : 0; }
};
template <int K>
struct ThirdsOfLast {
    static constexpr int lane(int i, int w) { return 3 * i + K < 2 * w ? i : 3 * i + K - w; }
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

/// R vectors as one run of R-tuples, {v0[0], v1[0], …, v0[1], …}: R = 3 or a power of two.
template <int R, class T, class Arch>
LAMINA_INLINE void interleave(Vec<T, Arch> (&v)[R]) {
    static_assert(R == 3 || (R & (R - 1)) == 0, "interleave: 3 vectors or a power of two");
    if constexpr (R == 1 || Vec<T, Arch>::width == 1) {
        return;
    } else if constexpr (R == 3) {
        const auto a = v[0], b = v[1], c = v[2];
        unroll<3>([&](auto k) LAMINA_INLINE_LAMBDA {
            v[k] = raw::shuffle<raw::InterleaveThird<k>>(raw::shuffle<raw::InterleaveTwoOfThree<k>>(a, b), c);
        });
    } else {
        Vec<T, Arch> even[R / 2], odd[R / 2];
        unroll<R / 2>([&](auto i) LAMINA_INLINE_LAMBDA { even[i] = v[2 * i], odd[i] = v[2 * i + 1]; });
        interleave(even);
        interleave(odd);
        unroll<R / 2>([&](auto i) LAMINA_INLINE_LAMBDA {
            const auto pair = interleave(even[i], odd[i]);
            v[2 * i] = pair.first, v[2 * i + 1] = pair.second;
        });
    }
}

/// The inverse: vector j gets every R-th lane from lane j on.
template <int R, class T, class Arch>
LAMINA_INLINE void deinterleave(Vec<T, Arch> (&v)[R]) {
    static_assert(R == 3 || (R & (R - 1)) == 0, "deinterleave: 3 vectors or a power of two");
    if constexpr (R == 1 || Vec<T, Arch>::width == 1) {
        return;
    } else if constexpr (R == 3) {
        const auto a = v[0], b = v[1], c = v[2];
        unroll<3>([&](auto k) LAMINA_INLINE_LAMBDA {
            v[k] = raw::shuffle<raw::ThirdsOfLast<k>>(raw::shuffle<raw::ThirdsOfTwo<k>>(a, b), c);
        });
    } else {
        Vec<T, Arch> even[R / 2], odd[R / 2];
        unroll<R / 2>([&](auto i) LAMINA_INLINE_LAMBDA {
            const auto pair = deinterleave(v[2 * i], v[2 * i + 1]);
            even[i] = pair.first, odd[i] = pair.second;
        });
        deinterleave(even);
        deinterleave(odd);
        unroll<R / 2>([&](auto i) LAMINA_INLINE_LAMBDA { v[2 * i] = even[i], v[2 * i + 1] = odd[i]; });
    }
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

/// As many rows as lanes, each down to one lane by halving with `f`, lane i meeting lane i + width / 2 and so on: lane
/// j is what becomes of row(j). Half the shuffles of transposing first. (`Size` lanes are left of each, from `First`
/// on.)
template <class T, class Arch, int Size = 1, int First = 0, class Row, class F>
LAMINA_INLINE Vec<T, Arch> fold_lanes(const Row& row, const F& f) {
    if constexpr (Size == Vec<T, Arch>::width) {
        return row(std::integral_constant<int, First>{});
    } else {
        const auto a = fold_lanes<T, Arch, 2 * Size, First>(row, f);
        const auto b = fold_lanes<T, Arch, 2 * Size, First + Size>(row, f);
        return f(raw::shuffle<raw::EvenBlocks<Size>>(a, b), raw::shuffle<raw::OddBlocks<Size>>(a, b));
    }
}

/// Lane i is lane i - 1 of `a`, and lane 0 is the last of `before`.
template <class T, class Arch>
LAMINA_INLINE Vec<T, Arch> shift_in(Vec<T, Arch> before, Vec<T, Arch> a) {
    if constexpr (Vec<T, Arch>::width == 1) return before;
    else return raw::shuffle<raw::ShiftIn>(before, a);
}

}  // namespace lamina::inline LAMINA_ABI::simd
