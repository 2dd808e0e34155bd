#pragma once
// A plane laid out for depthwise convolution: copied once into L1 with zeros around it and its columns sorted by their
// remainder modulo the stride, so that whatever padding, stride and dilation are, neighbouring outputs read
// neighbouring elements and no tile knows of borders.
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/permute.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// One axis of a plane that is convolved: output o reads source elements o * stride - pad + k * dilation. The source
/// may be spread: element i then stands at i * spread, with zeros between. The pad may be negative.
struct DepthwiseAxis {
    Index in, out, kernel, stride, dilation, pad, spread;
};
struct DepthwisePlane {
    DepthwiseAxis h, w;
};
inline DepthwisePlane forward_plane(const Conv2dGeometry& g) {
    return {{g.in_h, g.out_h, g.kernel_h, g.stride_h, g.dilation_h, g.pad_h, 1},
            {g.in_w, g.out_w, g.kernel_w, g.stride_w, g.dilation_w, g.pad_w, 1}};
}
/// The plane of dy that the gradient of x is convolved from, with the kernel turned round.
inline DepthwisePlane gradient_plane(const Conv2dGeometry& g) {
    const auto axis = [](Index in, Index out, Index kernel, Index stride, Index dilation, Index pad) {
        return DepthwiseAxis{out, in, kernel, 1, dilation, dilation * (kernel - 1) - pad, stride};
    };
    return {axis(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.dilation_h, g.pad_h),
            axis(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.dilation_w, g.pad_w)};
}

/// A strip of the plane, some output rows' worth, or several planes that are small, in this thread's scratch.
template <class Arch, class T>
class DepthwiseStrip {
public:
    static constexpr Index bytes = 16 << 10;  ///< that it is meant to take: half of the first-level cache
    static constexpr int slot = 12;           ///< of parallel::scratch

    explicit DepthwiseStrip(const DepthwisePlane& plane) : h_(plane.h), w_(plane.w) {
        constexpr Index line = 64 / Index(sizeof(T));
        const Index reach = w_.dilation * (w_.kernel - 1);
        phase_ = round_up(round_up(w_.out, simd::Vec<T, Arch>::width) + reach / w_.stride, line);
        pitch_ = phase_ * w_.stride;
        const Index room = bytes / Index(sizeof(T)) / pitch_ - h_.dilation * (h_.kernel - 1);
        rows_ = smaller(h_.out, larger(7, room / h_.stride / 7 * 7));
        size_ = source_rows(rows_) * pitch_;
        planes_ = rows_ < h_.out ? 1 : larger(1, smaller(8, bytes / Index(sizeof(T)) / size_));
        const Index needed = (w_.out - 1) * w_.stride + reach + 1;
        skip_ = w_.pad < 0 ? ceil_div(-w_.pad, w_.spread) : 0;
        first_ = skip_ * w_.spread + w_.pad;
        count_ = smaller(w_.in - skip_, ceil_div(needed - first_, w_.spread));
        data_ = parallel::scratch<T>(planes_ * size_, slot);
        zero(data_, planes_ * size_);
    }
    /// Output rows of a strip, all but the last one.
    Index rows() const { return rows_; }
    /// Planes held at a time.
    Index planes() const { return planes_; }
    Index pitch() const { return pitch_; }
    /// Where output (row, 0) of a plane finds its tap (0, 0), the row counted from the strip's first.
    const T* at(Index plane, Index row) const { return data_ + plane * size_ + row * h_.stride * pitch_; }
    /// How far from there column `k` of the kernel is.
    Index column(Index k) const { return place(k * w_.dilation); }

    /// Copies what the output rows [first, first + count) read of `plane` to place `at`.
    void fill(Index at, const T* plane, Index first, Index count) {
        const Index top = first * h_.stride - h_.pad, rows = source_rows(count);
        // The source rows y with 0 <= y * spread - top < rows.
        const Index begin = top > 0 ? ceil_div(top, h_.spread) : 0;
        const Index end = larger(begin, smaller(h_.in, ceil_div(larger(0, top + rows), h_.spread)));
        T* to = data_ + at * size_;
        // Between strips rows of zeros and of the plane change places; within a single one they stay.
        if (rows_ < h_.out) zero(to, size_);
        to += (begin * h_.spread - top) * pitch_;
        copy(plane + begin * w_.in + skip_, to, end - begin);
    }

private:
    Index source_rows(Index rows) const { return (rows - 1) * h_.stride + h_.dilation * (h_.kernel - 1) + 1; }
    Index place(Index column) const { return column % w_.stride * phase_ + column / w_.stride; }
    static void zero(T* to, Index n) {
        simd::row<Arch, T>(n, [&](Index i, auto count)
                                  LAMINA_INLINE_LAMBDA { simd::store_count(to + i, simd::Vec<T, Arch>(T(0)), count); });
    }

    void copy(const T* from, T* to, Index rows) const {
        using V = simd::Vec<T, Arch>;
        const Index n = count_, in = w_.in, step = pitch_ * h_.spread;
        const Index places[2] = {place(first_), place(first_ + w_.spread)};
        if (n <= 0) return;
        if (w_.stride == 1 && w_.spread == 1) {
            to += places[0];
            for (Index r = 0; r < rows; ++r, from += in, to += step)
                simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    simd::store_count(to + i, simd::load_count<Arch>(from + i, count), count);
                });
        } else if (w_.stride == 2) {
            for (Index r = 0; r < rows; ++r, from += in, to += step) {
                T *even = to + places[0], *odd = to + places[1];
                simd::row<Arch, T>(n / 2, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    const Index both = 2 * Index(count), first = smaller(both, V::width);
                    const auto a = simd::load_partial<Arch>(from + 2 * i, first);
                    const auto b = simd::load_partial<Arch>(from + 2 * i + first, both - first);
                    const auto pair = simd::deinterleave(a, b);
                    simd::store_count(even + i, pair.first, count);
                    simd::store_count(odd + i, pair.second, count);
                });
                if (n % 2 != 0) even[n / 2] = from[n - 1];
            }
        } else if (w_.spread == 2) {
            to += places[0];
            for (Index r = 0; r < rows; ++r, from += in, to += step)
                simd::row<Arch, T>(n - 1,
                                   [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                                       const auto pair =
                                           simd::interleave(simd::load_count<Arch>(from + i, count), V(T(0)));
                                       const Index both = 2 * Index(count), first = smaller(both, V::width);
                                       simd::store_partial(to + 2 * i, pair.first, first);
                                       simd::store_partial(to + 2 * i + first, pair.second, both - first);
                                   }),
                    to[2 * (n - 1)] = from[n - 1];
        } else {
            for (Index r = 0; r < rows; ++r, from += in, to += step)
                for (Index i = 0, c = first_; i < n; ++i, c += w_.spread) to[place(c)] = from[i];
        }
    }

    DepthwiseAxis h_, w_;
    Index phase_, pitch_, rows_, size_, planes_;
    Index skip_, count_, first_;  ///< the source columns that are read, and the padded column of the first
    T* data_;
};

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
