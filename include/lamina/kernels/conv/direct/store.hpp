#pragma once
// From a register tile to the rows of the result. Most tiles of pixels are stored where they belong; those that run
// over the ends of rows, and all tiles of channels, go through a buffer in L1.
#include <lamina/kernels/conv/direct/tile.hpp>
#include <lamina/kernels/gemm/epilogue.hpp>
#include <lamina/simd/permute.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Where results go: rows of `plane` elements, one a channel, the first of them number `channel`.
template <class T>
struct DirectTarget {
    T* y;
    Index plane, channel;
    bool add, last;  ///< is there a sum already, and is it complete now?
};

template <class Arch, class Epilogue, class V, class Count>
LAMINA_INLINE V finished(const Epilogue& epilogue, V x, Index channel, Index position, Count count, bool last) {
    if constexpr (std::is_same_v<Epilogue, NoEpilogue>) return x;
    else return last ? epilogue(x, channel, position, count) : x;
}

/// Finishes `count` pixels from `position` on of `channels` rows that are stored in place.
template <class Arch, class T, class Epilogue>
void finish_in_place(const DirectTarget<T>& to, Index channels, Index position, Index pixels,
                     const Epilogue& epilogue) {
    if constexpr (!std::is_same_v<Epilogue, NoEpilogue>) {
        if (!to.last) return;
        for (Index i = 0; i < channels; ++i) {
            T* row = to.y + i * to.plane + position;
            simd::row<Arch, T>(pixels, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
                simd::store_count(row + j,
                                  epilogue(simd::load_count<Arch>(row + j, count), to.channel + i, position + j, count),
                                  count);
            });
        }
    }
}

/// Moves `pixels` of `channels` rows of a buffer, `stride` apart, to `position` in their rows.
template <class Arch, class T, class Epilogue>
void store_rows(const DirectTarget<T>& to, const T* from, Index stride, Index channels, Index position, Index pixels,
                const Epilogue& epilogue) {
    for (Index i = 0; i < channels; ++i) {
        const T* source = from + i * stride;
        T* row = to.y + i * to.plane + position;
        simd::row<Arch, T>(pixels, [&](Index j, auto count) LAMINA_INLINE_LAMBDA {
            auto x = simd::load_count<Arch>(source + j, count);
            if (to.add) x += simd::load_count<Arch>(row + j, count);
            simd::store_count(row + j, finished<Arch>(epilogue, x, to.channel + i, position + j, count, to.last),
                              count);
        });
    }
}

/// The same for a whole panel of sums that are complete and replace what was there: nothing is left to be asked.
template <class Arch, class T, class Epilogue>
void store_panel(const DirectTarget<T>& to, const T* from, Index channels, Index position, const Epilogue& epilogue) {
    constexpr int width = simd::Vec<T, Arch>::width;
    T* row = to.y + position;
    for (Index i = 0; i < channels; ++i, row += to.plane, from += tile_vectors * width)
        simd::unroll<tile_vectors>([&](auto j) LAMINA_INLINE_LAMBDA {
            simd::store(row + j * width, finished<Arch>(epilogue, simd::load<Arch>(from + j * width), to.channel + i,
                                                        position + j * width, simd::FullTag<width>{}, true));
        });
}

/// Transposes pixels of lanes of channels, `width` lanes a pixel, and stores them at `position` in the channels' rows.
template <class Arch, class T, class Epilogue>
void store_transposed(const DirectTarget<T>& to, const T* from, Index width, Index channels, Index position,
                      Index pixels, const Epilogue& epilogue) {
    using V = simd::Vec<T, Arch>;
    constexpr int lanes = V::width;
    for (Index first = 0; first < channels; first += lanes)
        simd::row<Arch, T>(pixels, [&](Index p, auto count) LAMINA_INLINE_LAMBDA {
            V block[lanes];
            simd::unroll<lanes>([&](auto q) LAMINA_INLINE_LAMBDA {
                block[q] = simd::load<Arch>(from + (p + smaller(q, Index(count) - 1)) * width + first);
            });
            simd::transpose(block);
            T* row = to.y + first * to.plane + position + p;
            const Index rows = smaller(lanes, channels - first);
            simd::unroll<lanes>([&](auto q) LAMINA_INLINE_LAMBDA {
                if (q >= rows) return;
                V x = block[q];
                if (to.add) x += simd::load_count<Arch>(row + q * to.plane, count);
                simd::store_count(row + q * to.plane,
                                  finished<Arch>(epilogue, x, to.channel + first + q, position + p, count, to.last),
                                  count);
            });
        });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
