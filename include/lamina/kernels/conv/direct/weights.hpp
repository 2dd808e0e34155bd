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

/// Where tiles find their weights: prepared, or in w as it is stored; for the gradient of the input, w's input and
/// output channels change places and its taps are walked backwards.
template <class T>
struct DirectSource {
    const T *packed, *w;
    bool reversed = false;
};

/// Packs terms `depth`, whole channels, of one tile's channels from w [group_out, terms].
template <class Arch, class T>
void pack_direct_tile(const DirectPlan<Arch, T>& plan, const DirectSource<T>& source, Index group, Piece channels,
                      Piece depth, T* to) {
    const Index width = packed_width(plan, channels.size()), taps = plan.g.taps();
    const T* w = source.w + group * plan.g.group_out() * plan.g.depth();
    if (!source.reversed) {
        const MatrixView<T> columns = transposed(w, plan.g.depth());
        return pack_panel<Arch, T>(&columns, to, depth, channels, width);
    }
    for (Index c = depth.begin / taps; c < depth.end / taps; ++c) {
        const T* from = w + (c * plan.g.group_out() + channels.begin) * taps;
        for (Index t = taps - 1; t >= 0; --t, to += width) {
            copy_every<Arch>(from + t, taps, to, channels.size());
            fill_zero<Arch>(to + channels.size(), width - channels.size());
        }
    }
}

/// Packs all tiles, one behind the other.
template <class Arch, class T>
void pack_direct(const DirectPlan<Arch, T>& plan, const DirectSource<T>& source, T* to) {
    const Index tiles = plan.channel_tiles(), size = packed_tile_size(plan);
    parallel::for_range(plan.g.groups * tiles, parallel::grain_for(size), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i)
            pack_direct_tile(plan, source, i / tiles, plan.channel_tile(i % tiles), {0, plan.g.depth()}, to + i * size);
    });
}

template <class Arch, class T>
DirectWeights<T, Arch> packed_direct(const DirectPlan<Arch, T>& plan, const DirectSource<T>& source) {
    const Index size = plan.g.groups * plan.channel_tiles() * packed_tile_size(plan);
    DirectWeights<T, Arch> packed{PackedMatrix<T, Arch>(size / plan.lanes, plan.lanes)};
    pack_direct(plan, source, packed.panels.mutable_data());
    return packed;
}

/// Can tiles not read their weights where they are?
template <class Arch, class T>
bool copies_weights(const DirectPlan<Arch, T>& plan, const DirectSource<T>& source) {
    return !source.packed && (plan.channel_lanes || source.reversed || crowds_cache<T>(plan.g.depth()));
}

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
    if (!copies_weights(plan, source)) {
        task.weights = source.w + (group * plan.g.group_out() + channels.begin) * terms + depth.begin;
        task.weight_row = terms;
        task.weight_step = 1;
        return;
    }
    T* copy = parallel::scratch<T>(width * depth.size(), DirectPolicy::weight_slot);
    pack_direct_tile(plan, source, group, channels, depth, copy);
    task.weights = copy;
}

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
