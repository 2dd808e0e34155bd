#pragma once
// The input of a strip of output rows, copied with its margins of zeros and sorted by phase: [channel, vertical phase,
// horizontal phase, row, column]. The tiles then read whole vectors at any tap, with no border and no stride.
#include <lamina/kernels/conv/direct/plan.hpp>
#include <lamina/kernels/conv/strided_copy.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Copies what the output rows [rows) see of one channel, `plane`, to `to`.
template <class Arch, class T>
void copy_strip(const DirectPlan<Arch, T>& plan, const T* plane, Piece rows, T* to) {
    const PhaseAxis &vertical = plan.vertical, &horizontal = plan.horizontal;
    const Index width = horizontal.width(), height = rows.size() + vertical.reach();
    if (plan.g.pointwise()) return copy_every<Arch>(plane + rows.begin * width, 1, to, rows.size() * width);
    for (Index p = 0; p < vertical.phases(); ++p)
        for (Index q = 0; q < horizontal.phases(); ++q) {
            const Piece inside = horizontal.inside(q);
            const Index first = inside.begin * horizontal.stride + horizontal.first(q);
            T* row = to + (p * horizontal.phases() + q) * plan.phase_size();
            Index y = rows.begin * vertical.stride + vertical.first(p);
            for (Index i = 0; i < height; ++i, row += plan.pitch, y += vertical.stride) {
                if (y < 0 || y >= vertical.in) {
                    fill_zero<Arch>(row, width);
                    continue;
                }
                fill_zero<Arch>(row, inside.begin);
                copy_every<Arch>(plane + y * horizontal.in + first, horizontal.stride, row + inside.begin,
                                 inside.size());
                fill_zero<Arch>(row + inside.end, width - inside.end);
            }
        }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
