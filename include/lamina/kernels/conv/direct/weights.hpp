#pragma once
// The weights of a direct convolution as its tiles read them: prepared once, a tile's channels side by side for each
// term of the sum, or taken from where they are.
#include <lamina/kernels/conv/direct/tile.hpp>
#include <lamina/kernels/gemm/block.hpp>
#include <lamina/parallel/for.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Weights prepared for many calls on images of one size.
template <class T, class Arch = simd::native>
struct DirectWeights {
    PackedMatrix<T, Arch> panels;
};

namespace detail {

/// Lanes that the channels of every tile are padded to.
template <class Arch, class T>
Index packed_width(const DirectPlan<Arch, T>& plan, Index channels) {
    return round_up(channels, plan.lanes);
}
/// Elements of one prepared tile of the most channels.
template <class Arch, class T>
Index packed_tile_size(const DirectPlan<Arch, T>& plan) {
    return packed_width(plan, plan.channel_tile(0).size()) * plan.g.depth();
}

/// Packs terms `depth` of one tile's channels from w [group_out, terms].
template <class Arch, class T>
void pack_direct_tile(const DirectPlan<Arch, T>& plan, const T* w, Piece channels, Piece depth, T* to) {
    const MatrixView<T> columns = transposed(w, plan.g.depth());
    pack_panel<Arch, T>(&columns, to, depth, channels, packed_width(plan, channels.size()));
}

/// Where tiles find their weights: prepared, or in w [out_channels, depth].
template <class T>
struct DirectSource {
    const T *packed, *w;
};

/// Points the task at terms `depth` of a tile of channels; copies them to this thread's scratch only where they must
/// be.
template <class Arch, class T>
void take_weights(const DirectPlan<Arch, T>& plan, const DirectSource<T>& source, Index group, Index tile, Piece depth,
                  DirectTask<T>& task) {
    const Piece channels = plan.channel_tile(tile);
    const Index width = packed_width(plan, channels.size()), terms = plan.g.depth();
    task.depth = depth.size();
    task.weight_row = 1;
    task.weight_step = width;
    if (source.packed) {
        task.weights =
            source.packed + (group * plan.channel_tiles() + tile) * packed_tile_size(plan) + depth.begin * width;
        return;
    }
    const T* w = source.w + group * plan.g.group_out() * terms;
    if (!plan.channel_lanes && !crowds_cache<T>(terms)) {
        task.weights = w + channels.begin * terms + depth.begin;
        task.weight_row = terms;
        task.weight_step = 1;
        return;
    }
    T* copy = parallel::scratch<T>(width * depth.size(), DirectPolicy::weight_slot);
    pack_direct_tile(plan, w, channels, depth, copy);
    task.weights = copy;
}

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
