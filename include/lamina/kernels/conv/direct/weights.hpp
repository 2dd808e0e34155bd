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

/// Packs one block of one tile's channels from w [group_out, depth] or, reversed, [group_in, group_out, taps].
template <class Arch, class T>
void pack_direct_block(const DirectPlan<Arch, T>& plan, const DirectSource<T>& source, Index group, Piece channels,
                       Piece block, T* to) {
    using V = simd::Vec<T, Arch>;
    constexpr int lanes = V::width;
    const Conv2dGeometry& g = plan.g;
    const Index width = packed_width(plan, channels.size()), taps = g.taps(), count = block.size();
    const T* w = source.w + group * g.group_out() * g.depth();
    if (source.reversed) {
        for (Index c = 0; c < count; ++c) {
            const T* from = w + ((block.begin + c) * g.group_out() + channels.begin) * taps + taps - 1;
            for (Index t = 0; t < taps; ++t, --from) {
                T* row = to + plan.term(count, c, t / g.kernel_w, t % g.kernel_w) * width;
                copy_every<Arch>(from, taps, row, channels.size());
                fill_zero<Arch>(row + channels.size(), width - channels.size());
            }
        }
        return;
    }
    for (Index first = 0; first < width; first += lanes) {
        const Index rows = smaller(lanes, channels.size() - first);
        const T* from = w + (channels.begin + first) * g.depth() + block.begin * taps;
        Index c = 0, ky = 0, kx = 0;
        simd::row<Arch, T>(count * taps, [&](Index k, auto terms) LAMINA_INLINE_LAMBDA {
            V tile[lanes];
            simd::unroll<lanes>([&](auto q) LAMINA_INLINE_LAMBDA {
                tile[q] = q < rows ? simd::load_count<Arch>(from + q * g.depth() + k, terms) : V(T(0));
            });
            simd::transpose(tile);
            simd::unroll<lanes>([&](auto q) LAMINA_INLINE_LAMBDA {
                if (q >= Index(terms)) return;
                simd::store(to + plan.term(count, c, ky, kx) * width + first, tile[q]);
                if (++kx < g.kernel_w) return;
                kx = 0;
                if (++ky < g.kernel_h) return;
                ky = 0;
                ++c;
            });
        });
    }
}

/// Packs all tiles, one behind the other.
template <class Arch, class T>
void pack_direct(const DirectPlan<Arch, T>& plan, const DirectSource<T>& source, T* to) {
    const Index tiles = plan.channel_tiles(), size = packed_tile_size(plan);
    parallel::for_range(plan.g.groups * tiles, parallel::grain_for(size), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i)
            for (Index b = 0; b < plan.blocks; ++b) {
                const Piece channels = plan.channel_tile(i % tiles), block = plan.block(b);
                pack_direct_block(plan, source, i / tiles, channels, block,
                                  to + i * size + block.begin * plan.g.taps() * packed_width(plan, channels.size()));
            }
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

/// Points the task at one block of a tile's weights; copies them to this thread's scratch only where they must be.
template <class Arch, class T>
void take_weights(const DirectPlan<Arch, T>& plan, const DirectSource<T>& source, Index group, Index tile, Piece block,
                  DirectTask<T>& task) {
    const Piece channels = plan.channel_tile(tile);
    const Index width = packed_width(plan, channels.size()), taps = plan.g.taps(), depth = plan.g.depth();
    task.depth = block.size() * taps;
    task.weight_row = 1;
    task.weight_step = width;
    if (source.packed) {
        task.weights =
            source.packed + (group * plan.channel_tiles() + tile) * packed_tile_size(plan) + block.begin * taps * width;
        return;
    }
    if (!copies_weights(plan, source)) {
        task.weights = source.w + (group * plan.g.group_out() + channels.begin) * depth + block.begin * taps;
        task.weight_row = depth;
        task.weight_step = 1;
        return;
    }
    T* copy = parallel::scratch<T>(width * task.depth, DirectPolicy::weight_slot);
    pack_direct_block(plan, source, group, channels, block, copy);
    task.weights = copy;
}

}  // namespace detail
}  // namespace lamina::inline LAMINA_ABI::kernels
