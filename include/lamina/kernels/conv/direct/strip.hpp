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
    Index pitch;     ///< elements from row to row
    Index rows = 1;  ///< of the result

    explicit StripLayout(const Conv2dGeometry& sizes)
        : g(sizes),
          vertical{g.kernel_h, g.stride_h, g.dilation_h, g.pad_h, g.in_h, g.out_h},
          horizontal{g.kernel_w, g.stride_w, g.dilation_w, g.pad_w, g.in_w, g.out_w},
          pitch(horizontal.pitch()) {}

    Index phase_size() const { return (rows + vertical.reach()) * pitch; }
    /// Elements of one channel. Its last row ends with zeros that no other row shares.
    Index channel_extent(Index strip_rows) const {
        return vertical.phases() * horizontal.phases() * (strip_rows + vertical.reach()) * pitch + horizontal.width() -
               pitch;
    }

    /// Where in a channel the first output reads for a tap.
    Index offset(Index ky, Index kx) const {
        const Index phase = vertical.phase(ky) * horizontal.phases() + horizontal.phase(kx);
        return phase * phase_size() + vertical.shift(ky) * pitch + horizontal.shift(kx);
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

/// Copies what the output rows [rows) see of one channel, `plane`, to `to`.
template <class Arch, class T>
void copy_strip(const StripLayout& layout, const T* plane, Piece rows, T* to) {
    const PhaseAxis &vertical = layout.vertical, &horizontal = layout.horizontal;
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    const Index width = horizontal.width(), height = rows.size() + vertical.reach();
    if (layout.g.pointwise())
        return copy_row<Arch>(plane + rows.begin * width, 1, to, rows.size() * width, rows.size() * width);
    for (Index p = 0; p < vertical.phases(); ++p)
        for (Index q = 0; q < horizontal.phases(); ++q) {
            const Piece inside = horizontal.inside(q);
            const Index first = inside.begin * horizontal.stride + horizontal.first(q);
            T* row = to + (p * horizontal.phases() + q) * layout.phase_size();
            Index y = rows.begin * vertical.stride + vertical.first(p);
            for (Index i = 0; i < height; ++i, row += layout.pitch, y += vertical.stride) {
                const bool outside = y < 0 || y >= vertical.in;
                // Whole vectors: what is too much is overwritten by the rest of the row, or by the next.
                for (Index i = 0; i < (outside ? width : inside.begin); i += lanes)
                    simd::store(row + i, simd::Vec<T, Arch>(T(0)));
                if (!outside)
                    copy_row<Arch>(plane + y * horizontal.in + first, horizontal.stride, row + inside.begin,
                                   inside.size(), width - inside.begin);
            }
        }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
