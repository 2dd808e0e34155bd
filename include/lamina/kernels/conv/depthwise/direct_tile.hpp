#pragma once
// The register tiles of depthwise convolution where loads take masks: the plane is read where it is, and lanes and rows
// outside are left out.
#include <lamina/kernels/conv/depthwise/plane.hpp>
#include <lamina/simd/rounded.hpp>

#include <cstdint>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Some rows of one output channel.
template <class T>
struct DepthwiseDirectTask {
    const T* x;                  ///< tap (0, 0) of the first output of the first row, which may lie outside
    Index in_w;                  ///< between rows of x
    unsigned rows;               ///< bit i: row i from there is inside
    const std::uint16_t* masks;  ///< lanes inside: for each vector of outputs, each load of a row
    Index kernel_w;
    const T* weight;  ///< [kernel_h, kernel_w]
    T* y;
    Index width, columns;  ///< of a row of y, and to be made of it
    bool accumulate;
};

/// Stores a vector for each of `Rows` rows of y, `width` elements apart, of which `count` or more are left.
template <class Arch, class T, int Rows>
LAMINA_INLINE void depthwise_store(simd::Vec<T, Arch> (&sum)[Rows], T* y, Index width, Index count, bool accumulate) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    if (accumulate) {
        const T* from = y;
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r, from += width) sum[r] += simd::load_partial<Arch>(from, smaller(count, lanes));
    }
    if (count >= lanes) {
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r, y += width) simd::store(y, sum[r]);
    } else {
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r, y += width) simd::store_partial(y, sum[r], count);
    }
}

/// `Rows` output rows of a kernel of `KernelH` rows and any number of columns; Stride both ways, no dilation.
template <class Arch, class T, int KernelH, int Stride, int Rows>
void depthwise_tile_direct(const DepthwiseDirectTask<T>& task) {
    using V = simd::Vec<T, Arch>;
    constexpr int reads = (Rows - 1) * Stride + KernelH, bases = (reads + 2) / 3;
    const Index in_w = task.in_w, kernel_w = task.kernel_w;
    // Read anew each time: the bits would otherwise be kept, each in a register, and others are needed by all rows.
    const volatile unsigned& inside = task.rows;
    const volatile Index &width = task.width, &end = task.columns;
    const std::uint16_t* masks = task.masks;
    for (Index j = 0; j < end; j += V::width) {
        // One base for three rows: x86 addresses base, +stride, +2 stride, and a pointer a row would not fit.
        const T* row[bases];
#pragma GCC unroll 8
        for (int q = 0; q < bases; ++q) row[q] = task.x + Stride * j + 3 * q * in_w;
        V sum[Rows];
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) sum[r] = V(T(0));
        const T* w = task.weight;
        // One column of the kernel, or with stride 2 two: the even and the odd elements of the same loads.
        const auto columns = [&]<int Count>(std::integral_constant<int, Count>) LAMINA_INLINE_LAMBDA {
            const unsigned rows = inside;
            const simd::LaneBits near(masks[0]), far(masks[Stride - 1]);
            V weight[Count][KernelH];
#pragma GCC unroll 8
            for (int i = 0; i < KernelH; ++i) {
#pragma GCC unroll 2
                for (int c = 0; c < Count; ++c) weight[c][i] = simd::broadcast<Arch>(w + i * kernel_w + c);
            }
#pragma GCC unroll 32
            for (int i = 0; i < reads; ++i) {
                if (!(rows & (1u << i))) continue;
                const T* from = row[i / 3] + i % 3 * in_w;
                V x[2] = {simd::load_masked<Arch>(from, near)};
                if constexpr (Stride == 2) {
                    const auto pair = simd::deinterleave(x[0], simd::load_masked<Arch>(from + V::width, far));
                    x[0] = pair.first, x[1] = pair.second;
                } else x[0] = simd::rounded(x[0]);
#pragma GCC unroll 8
                for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
                    for (int c = 0; c < Count; ++c)
                        if (i >= r * Stride && i < r * Stride + KernelH)
                            sum[r] = fma(x[c], weight[c][i - r * Stride], sum[r]);
                }
            }
#pragma GCC unroll 8
            for (int q = 0; q < bases; ++q) row[q] += Stride;
            w += Stride, masks += Stride;
        };
        Index k = 0;
        for (; k + Stride <= kernel_w; k += Stride) columns(std::integral_constant<int, Stride>{});
        if (k < kernel_w) columns(std::integral_constant<int, 1>{});
        depthwise_store<Arch, T, Rows>(sum, task.y + j, width, end - j, task.accumulate);
    }
}

/// The vectors that short rows are cut into, and the ends of others: AVX-512's would waste lanes there.
template <class Arch>
struct depthwise_arch {
    using type = Arch;
};
#if defined(LAMINA_ISA_AVX512)
template <>
struct depthwise_arch<simd::avx512> {
    using type = simd::avx2;
};
#endif

/// Convolves planes where they are: columns of lanes inside are worked out once.
template <class Arch, class T>
class DepthwiseDirect {
public:
    static constexpr int slot = 12;  ///< of parallel::scratch

    static bool fits(const DepthwisePlane& plane) {
        const auto simple = [](const DepthwiseAxis& a) { return a.stride <= 2 && a.dilation == 1 && a.spread == 1; };
        const Index k = plane.h.kernel;
        return simple(plane.h) && simple(plane.w) && plane.h.stride == plane.w.stride && (k == 3 || k == 5 || k == 7);
    }
    explicit DepthwiseDirect(const DepthwisePlane& plane)
        : h_(plane.h),
          w_(plane.w),
          wide_(tiles<Arch>()),
          narrow_(tiles<Narrow>()) {
        constexpr Index lanes = width<Arch>;
        const Index loads = round_up(w_.kernel, w_.stride), end = w_.out % lanes;
        split_ = end <= width<Narrow> && width<Narrow> < lanes ? w_.out - end : w_.out;
        masks_ = parallel::scratch<std::uint16_t>((w_.out / width<Narrow> + 2) * loads, slot);
        narrow_masks_ = fill_masks<Narrow>(split_, w_.out, fill_masks<Arch>(0, split_, masks_));
        narrow_masks_ -= ceil_div(w_.out - split_, width<Narrow>) * loads;
    }
    Index rows() const { return h_.out; }
    Index planes() const { return 1; }
    void fill(Index, const T* plane, Index, Index) { plane_ = plane; }

    void run(Index, const T* weight, T* y, Index, Index, bool accumulate) const {
        for (Index at = 0; at < h_.out;) {
            const Index left = h_.out - at, rows = left >= 7 ? 7 : left >= 3 ? 3 : 1, top = at * h_.stride - h_.pad;
            const auto part = [&](const Tiles& tiles, Index first, Index end,
                                  const std::uint16_t* masks) LAMINA_INLINE_LAMBDA {
                if (first < end)
                    tiles.of[rows == 7   ? 0
                             : rows == 3 ? 1
                                         : 2]({plane_ + top * w_.in - w_.pad + first * w_.stride, w_.in,
                                               bits_below(h_.in - top) & ~bits_below(-top), masks, w_.kernel, weight,
                                               y + at * w_.out + first, w_.out, end - first, accumulate});
            };
            part(wide_, 0, split_, masks_);
            part(narrow_, split_, w_.out, narrow_masks_);
            at += rows;
        }
    }

private:
    using Narrow = typename depthwise_arch<Arch>::type;
    struct Tiles {
        void (*of[3])(const DepthwiseDirectTask<T>&);
    };
    template <class A>
    static constexpr Index width = simd::Vec<T, A>::width;

    static unsigned bits_below(Index n) { return n >= 31 ? ~0u : n <= 0 ? 0u : (1u << n) - 1; }

    /// For the columns [begin, end); returns what is behind.
    template <class A>
    std::uint16_t* fill_masks(Index begin, Index end, std::uint16_t* mask) const {
        const auto below = [](Index n) { return bits_below(smaller(n, width<A>)); };
        const Index stride = w_.stride, loads = round_up(w_.kernel, stride);
        for (Index j = begin; j < end; j += width<A>)
            for (Index k = 0; k < loads; ++k) {
                const Index first = stride * j + (stride == 1 ? k : k / 2 * 2 + k % 2 * width<A>)-w_.pad;
                *mask++ = std::uint16_t(below(w_.in - first) & ~below(-first));
            }
        return mask;
    }
    template <class A, int Stride, int KernelH>
    static Tiles tiles() {
        return {{depthwise_tile_direct<A, T, KernelH, Stride, 7>, depthwise_tile_direct<A, T, KernelH, Stride, 3>,
                 depthwise_tile_direct<A, T, KernelH, Stride, 1>}};
    }
    template <class A, int Stride>
    Tiles tiles() const {
        return h_.kernel == 3 ? tiles<A, Stride, 3>() : h_.kernel == 5 ? tiles<A, Stride, 5>() : tiles<A, Stride, 7>();
    }
    template <class A>
    Tiles tiles() const {
        return h_.stride == 2 ? tiles<A, 2>() : tiles<A, 1>();
    }

    DepthwiseAxis h_, w_;
    Tiles wide_, narrow_;
    Index split_;  ///< columns from here on go by narrow vectors
    std::uint16_t *masks_, *narrow_masks_;
    const T* plane_ = nullptr;
};

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
