#pragma once
// The input of a strip of output rows, copied with its margins of zeros and sorted by phase: [channel, vertical phase,
// horizontal phase, row, column]. The tiles then read whole vectors at any tap, with no border and no stride.
#include <lamina/kernels/conv/direct/phases.hpp>
#include <lamina/kernels/conv/strided_copy.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// How a channel of a strip of at most `rows` output rows is laid out.
struct StripLayout {
    Conv2dGeometry g;
    PhaseAxis vertical, horizontal;
    Index pitch;         ///< elements from row to row
    Index rows = 1;      ///< of the result
    bool halves;         ///< are there two horizontal phases, the even and the odd columns of the image?
    Index segments = 1;  ///< that long rows of the result are cut into; `horizontal` is the first one

    explicit StripLayout(const Conv2dGeometry& sizes)
        : g(sizes),
          vertical{g.kernel_h, g.stride_h, g.dilation_h, g.pad_h, g.in_h, g.out_h},
          horizontal{g.kernel_w, g.stride_w, g.dilation_w, g.pad_w, g.in_w, g.out_w},
          pitch(horizontal.pitch()),
          halves(g.stride_w == 2 && horizontal.phases() == 2) {}

    /// Cuts rows of the result into segments of at most so many columns.
    void cut_columns(Index most) {
        segments = larger(1, ceil_div(g.out_w, most));
        if (segments == 1) return;
        horizontal.out = ceil_div(g.out_w, segments);
        pitch = horizontal.width();
    }
    Piece segment(Index i) const { return piece(g.out_w, segments, i); }
    /// The horizontal axis as some columns of the result see it.
    PhaseAxis seen_by(Piece columns) const {
        return {g.kernel_w, g.stride_w, g.dilation_w, g.pad_w - columns.begin * g.stride_w, g.in_w, columns.size()};
    }

    Index phase_size() const { return phase_size(rows); }
    /// Elements of one channel. Its last row ends with zeros that no other row shares.
    Index channel_extent(Index strip_rows) const {
        return vertical.phases() * horizontal.phases() * phase_size(strip_rows) + horizontal.width() - pitch;
    }

    /// Where in a channel the first output reads for a tap.
    Index offset(Index ky, Index kx) const {
        const Index phase = vertical.phase(ky) * horizontal.phases() + horizontal.phase(kx);
        return phase * phase_size() + vertical.shift(ky) * pitch + horizontal.shift(kx);
    }

private:
    /// Rows are copied by whole vectors, which may write too much behind the last.
    static constexpr Index slack = 16;

    Index phase_size(Index strip_rows) const {
        return (strip_rows + vertical.reach()) * pitch + (horizontal.phases() > 1 ? slack : 0);
    }
};

/// A distance between channels of at least `size` and a vector that a copy may write too much; powers of two would
/// crowd them into a few sets of the caches.
template <class Arch, class T>
constexpr Index spread_channels(Index size) {
    constexpr Index line = 64 / Index(sizeof(T));
    const Index distance = round_up(size + simd::Vec<T, Arch>::width - 1, line);
    return distance * Index(sizeof(T)) % 1024 == 0 ? distance + line : distance;
}

/// Copies what some rows and columns of the result see of one channel, `plane`, to `to`, and asks for `next`, the plane
/// after it.
template <class Arch, class T>
void copy_strip(const StripLayout& layout, const T* plane, const T* next, Piece rows, Piece columns, T* to) {
    constexpr Index line = 64 / Index(sizeof(T));
    const PhaseAxis vertical = layout.vertical, horizontal = layout.seen_by(columns);
    const Index width = horizontal.width(), height = rows.size() + vertical.reach();
    if (layout.g.pointwise() && layout.segments == 1)
        return copy_row<Arch>(plane + rows.begin * width, 1, to, 0, rows.size() * width, rows.size() * width);
    for (Index p = 0; p < vertical.phases(); ++p) {
        T* const top = to + p * horizontal.phases() * layout.phase_size();
        // Calls f(is it in the margin?, row of the image, offset of the strip's row) for each row.
        const auto rows_of = [&](const T* fetch, auto&& f) LAMINA_INLINE_LAMBDA {
            Index y = rows.begin * vertical.stride + vertical.first(p);
            for (Index i = 0; i < height; ++i, y += vertical.stride) {
                const bool outside = y < 0 || y >= vertical.in;
                if (fetch && !outside)
                    for (Index x = 0; x < horizontal.in; x += line) simd::prefetch(fetch + y * horizontal.in + x);
                f(outside, plane + (outside ? 0 : y * horizontal.in), i * layout.pitch);
            }
        };
        if (layout.halves) {
            // One phase begins with an even column of the image, the other one behind it.
            const Index skip = larger(0, -horizontal.pad), first = larger(0, horizontal.pad) % 2;
            T *even = top + first * layout.phase_size(), *odd = top + (1 - first) * layout.phase_size();
            const Index even_begin = horizontal.inside(first).begin, odd_begin = horizontal.inside(1 - first).begin;
            const Index count = smaller(horizontal.in - skip, 2 * (width - smaller(even_begin, odd_begin)));
            rows_of(next, [&](bool outside, const T* from, Index at) LAMINA_INLINE_LAMBDA {
                copy_halves<Arch>(from + skip, outside ? 0 : count, even + at, even_begin, odd + at, odd_begin, width);
            });
            continue;
        }
        for (Index q = 0; q < horizontal.phases(); ++q) {
            const Piece inside = horizontal.inside(q);
            const Index first = inside.begin * horizontal.stride + horizontal.first(q);
            T* phase = top + q * layout.phase_size();
            rows_of(q == 0 ? next : nullptr, [&](bool outside, const T* from, Index at) LAMINA_INLINE_LAMBDA {
                copy_row<Arch>(from + first, horizontal.stride, phase + at, outside ? width : inside.begin,
                               outside ? width : inside.end, width);
            });
        }
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
