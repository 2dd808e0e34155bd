#pragma once
// Where a deformable convolution reads: the four elements around a place between the elements of an image, and their
// weights. Images are turned to have their channels side by side, so that a place is found once for all channels.
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/kernels/gemm/matrix.hpp>
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/row.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Sizes of a deformable convolution: those of a convolution, whose channels are cut into groups with offsets of their
/// own. Offsets are [batch, offset_groups * taps * 2, out_h, out_w], downwards then to the right; masks [batch,
/// offset_groups * taps, out_h, out_w].
struct DeformGeometry : Conv2dGeometry {
    Index offset_groups;

    Index columns() const { return in_channels * taps(); }
};

namespace detail {

/// A place in an image [in_h, in_w, channels]: elements above left, above right, below left, below right, and how far
/// the place is from the first.
template <class T>
struct DeformPlace {
    Index at[4];  ///< of the first channel; -1 outside
    T down, right;

    T weight(int i) const { return (i < 2 ? 1 - down : down) * (i % 2 == 0 ? 1 - right : right); }
};

template <class T>
DeformPlace<T> deform_place(const DeformGeometry& g, T y, T x) {
    DeformPlace<T> p{{-1, -1, -1, -1}, 0, 0};
    if (!(y >= -1 && x >= -1 && y < T(g.in_h) && x < T(g.in_w))) return p;
    // Numbers from -1 on: truncation after adding one rounds down.
    const Index top = Index(y + 1) - 1, left = Index(x + 1) - 1;
    p.down = y - T(top);
    p.right = x - T(left);
    const Index first = (top * g.in_w + left) * g.in_channels, row = g.in_w * g.in_channels;
    const bool up = top >= 0, low = top + 1 < g.in_h, west = left >= 0, east = left + 1 < g.in_w;
    if (up && west) p.at[0] = first;
    if (up && east) p.at[1] = first + g.in_channels;
    if (low && west) p.at[2] = first + row;
    if (low && east) p.at[3] = first + row + g.in_channels;
    return p;
}

/// One image's offsets and mask.
template <class T>
struct DeformField {
    const T *offset, *mask;  ///< mask may be null

    /// Element `tap` of offset group `group` at output `position`.
    DeformPlace<T> place(const DeformGeometry& g, Index group, Index tap, Index position) const {
        const Index oy = position / g.out_w, ox = position - oy * g.out_w;
        const Index ky = tap / g.kernel_w, kx = tap - ky * g.kernel_w;
        const T* shift = offset + 2 * (group * g.taps() + tap) * g.plane() + position;
        return deform_place(g, T(oy * g.stride_h - g.pad_h + ky * g.dilation_h) + shift[0],
                            T(ox * g.stride_w - g.pad_w + kx * g.dilation_w) + shift[g.plane()]);
    }
    T factor(const DeformGeometry& g, Index group, Index tap, Index position) const {
        return mask ? mask[(group * g.taps() + tap) * g.plane() + position] : T(1);
    }
};

/// Calls f(channel, column, count) for the runs of channels of an offset group that lie side by side in a row of the
/// matrix of columns, [group, tap, channel].
template <class F>
LAMINA_INLINE void deform_runs(const DeformGeometry& g, Index offset_group, Index tap, F&& f) {
    const Index share = g.in_channels / g.offset_groups, group_in = g.group_in();
    const Index end = (offset_group + 1) * share;
    for (Index c = offset_group * share; c < end;) {
        const Index group = c / group_in, next = smaller(end, (group + 1) * group_in);
        f(c, (group * g.taps() + tap) * group_in + c - group * group_in, next - c);
        c = next;
    }
}

/// The matrix of columns of the outputs [positions): what each tap reads, from `image` [in_h, in_w, channels] and
/// `zeros` of as many channels.
template <class Arch, class T>
void deform_columns(const DeformGeometry& g, const DeformField<T>& field, const T* image, const T* zeros,
                    Piece positions, T* columns) {
    using V = simd::Vec<T, Arch>;
    for (Index group = 0; group < g.offset_groups; ++group)
        for (Index tap = 0; tap < g.taps(); ++tap)
            for (Index at = positions.begin; at < positions.end; ++at) {
                const DeformPlace<T> place = field.place(g, group, tap, at);
                const T factor = field.factor(g, group, tap, at);
                const T* from[4];
                V weight[4];
                for (int i = 0; i < 4; ++i) {
                    // What does not count is not read: it might not be a number.
                    const bool counts = place.at[i] >= 0 && place.weight(i) != 0;
                    from[i] = counts ? image + place.at[i] : zeros;
                    weight[i] = V(counts ? place.weight(i) * factor : T(0));
                }
                T* row = columns + (at - positions.begin) * g.columns();
                deform_runs(g, group, tap, [&](Index c, Index column, Index n) LAMINA_INLINE_LAMBDA {
                    simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                        V sum = simd::load_count<Arch>(from[0] + c + i, count) * weight[0];
                        sum = fma(simd::load_count<Arch>(from[1] + c + i, count), weight[1], sum);
                        sum = fma(simd::load_count<Arch>(from[2] + c + i, count), weight[2], sum);
                        sum = fma(simd::load_count<Arch>(from[3] + c + i, count), weight[3], sum);
                        simd::store_count(row + column + i, sum, count);
                    });
                });
            }
}

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
