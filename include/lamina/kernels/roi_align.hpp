#pragma once
// RoIAlign: bins of regions of a feature map as means of bilinear samples. First the rows that a row of bins takes part
// in are mixed, whole vectors of columns at a time, then the columns of the mixture. Channels are taken in blocks that
// stay in the second-level cache while all regions pass over them.
#include <lamina/kernels/roi_taps.hpp>
#include <lamina/parallel/for.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/simd/lookup.hpp>
#include <lamina/simd/row.hpp>

#include <cstring>

namespace lamina::inline LAMINA_ABI::kernels {

/// y [regions, channels, out_h, out_w] (of all regions) = means over the bins of the table's regions on
/// x [batch, channels, height, width].
template <class Arch = simd::native, class T>
void roi_align_forward(const RoiGeometry& g, const RoiTable<T>& table, const T* x, T* y);

/// dx += the gradient, region after region in their order.
template <class Arch = simd::native, class T>
void roi_align_grad_input(const RoiGeometry& g, const RoiTable<T>& table, const T* dy, T* dx);

namespace detail {

inline constexpr int roi_slot = 4;
inline constexpr Index roi_block_bytes = 384 << 10;

/// Channels whose planes share the cache.
template <class T>
Index roi_block(const RoiGeometry& g) {
    const Index plane = g.height * g.width * Index(sizeof(T)), block = roi_block_bytes / (plane > 0 ? plane : 1);
    return block < 1 ? 1 : block < g.channels ? block : g.channels;
}

/// The taps of one row of up to `width` bins, lane by lane: the k-th tap of each bin, its column counted from `left`.
template <class Arch, class T>
struct RoiColumns {
    using V = simd::Vec<T, Arch>;
    using I = simd::Vec<simd::signed_of_size<sizeof(T)>, Arch>;
    Index left, count, depth;  ///< columns [left, left + count); taps of the bin with the most
    typename I::value_type* index;
    T* weight;

    /// Index and weight lie in [block of bins][tap][lane].
    RoiColumns(const RoiTable<T>& table, Index region)
        : left(table.regions[std::size_t(region)].left),
          count(table.regions[std::size_t(region)].end - left),
          depth(0) {
        const std::int32_t* const begin = table.column_begin(region);
        for (Index o = 0; o < table.columns; ++o) {
            const Index n = begin[o + 1] - begin[o];
            depth = n > depth ? n : depth;
        }
        const Index blocks = (table.columns + V::width - 1) / V::width, size = blocks * depth * V::width;
        index = parallel::scratch<typename I::value_type>(size, roi_slot);
        weight = parallel::scratch<T>(size, roi_slot + 1);
        for (Index i = 0; i < size; ++i) index[i] = 0, weight[i] = T(0);
        for (Index o = 0; o < table.columns; ++o)
            for (Index k = 0; k < begin[o + 1] - begin[o]; ++k) {
                const auto& tap = table.taps[std::size_t(begin[o] + k)];
                const Index at = (o / V::width * depth + k) * V::width + o % V::width;
                index[at] = typename I::value_type(tap.index - left), weight[at] = tap.weight;
            }
    }
};

/// One row of bins from rows that fit into N registers: mixed there and looked up there.
template <int N, class Arch, class T>
LAMINA_INLINE void roi_row_in_registers(const T* plane, Index width, const RoiTap<T>* tap, const RoiTap<T>* end,
                                        const RoiColumns<Arch, T>& columns, T* y, Index bins) {
    using V = simd::Vec<T, Arch>;
    using I = typename RoiColumns<Arch, T>::I;
    const Index last = columns.count - (N - 1) * V::width;
    V mixed[N];
    for (int v = 0; v < N; ++v) mixed[v] = V(T(0));
    for (; tap < end; ++tap) {
        const V weight = tap->weight;
        const T* const from = plane + tap->index * width + columns.left;
        simd::unroll<N - 1>([&](auto v) LAMINA_INLINE_LAMBDA {
            mixed[v] = fma(weight, simd::load<Arch>(from + v * V::width), mixed[v]);
        });
        mixed[N - 1] = fma(weight, simd::load_partial<Arch>(from + (N - 1) * V::width, last), mixed[N - 1]);
    }
    V sum(T(0));
    for (Index k = 0; k < columns.depth; ++k) {
        const I index = simd::load<Arch>(columns.index + k * V::width);
        V value = lookup_pair(mixed[0], mixed[N > 1 ? 1 : 0], index);
        if constexpr (N > 2) {
            const auto upper = index > I(typename I::value_type(2 * V::width - 1));
            const V other = lookup_pair(mixed[2], mixed[N - 1], index);
            value = select(simd::Mask<T, Arch>{upper.m}, other, value);
        }
        sum = fma(value, simd::load<Arch>(columns.weight + k * V::width), sum);
    }
    store_partial(y, sum, bins);
}

/// The same through memory, for any width and any number of bins.
template <class Arch, class T>
void roi_row_in_memory(const T* plane, Index width, const RoiTap<T>* tap, const RoiTap<T>* end,
                       const RoiColumns<Arch, T>& columns, T* mixed, T* y, Index bins) {
    using V = simd::Vec<T, Arch>;
    simd::row<Arch, T>(columns.count, [&](Index i, auto n) LAMINA_INLINE_LAMBDA {
        V sum(T(0));
        for (const RoiTap<T>* t = tap; t < end; ++t)
            sum = fma(V(t->weight), simd::load_count<Arch>(plane + t->index * width + columns.left + i, n), sum);
        store_count(mixed + i, sum, n);
    });
    const auto* index = columns.index;
    const T* weight = columns.weight;
    simd::row<Arch, T>(bins, [&](Index i, auto n) LAMINA_INLINE_LAMBDA {
        V sum(T(0));
        for (Index k = 0; k < columns.depth; ++k, index += V::width, weight += V::width)
            sum = fma(simd::gather(mixed, simd::load<Arch>(index)), simd::load<Arch>(weight), sum);
        store_count(y + i, sum, n);
    });
}

/// All bins of one region in the channels [begin, end) of its image, written one after the other.
template <class Arch, class T>
void roi_align_region(const RoiGeometry& g, const RoiTable<T>& table, Index region, Index begin, Index end, const T* x,
                      T* y) {
    constexpr Index lanes = simd::Vec<T, Arch>::width;
    const RoiColumns<Arch, T> columns(table, region);
    const std::int32_t* const rows = table.row_begin(region);
    const RoiTap<T>* const taps = table.taps.data();
    const Index plane = g.height * g.width;
    if (columns.count == 0) {
        std::memset(static_cast<void*>(y), 0, std::size_t((end - begin) * g.out_h * g.out_w) * sizeof(T));
        return;
    }
    const auto each_row = [&](auto&& f) LAMINA_INLINE_LAMBDA {
        for (Index c = begin; c < end; ++c)
            for (Index i = 0; i < g.out_h; ++i, y += g.out_w) f(x + c * plane, taps + rows[i], taps + rows[i + 1], y);
    };
    if constexpr (simd::has_lookup_pair<Arch>) {
        if (g.out_w <= lanes && columns.count <= 4 * lanes) {
            const auto run = [&](auto n) LAMINA_INLINE_LAMBDA {
                each_row([&](const T* from, const RoiTap<T>* first, const RoiTap<T>* last, T* to) LAMINA_INLINE_LAMBDA {
                    roi_row_in_registers<n>(from, g.width, first, last, columns, to, g.out_w);
                });
            };
            if (columns.count <= lanes) return run(std::integral_constant<int, 1>{});
            if (columns.count <= 2 * lanes) return run(std::integral_constant<int, 2>{});
            if (columns.count <= 3 * lanes) return run(std::integral_constant<int, 3>{});
            return run(std::integral_constant<int, 4>{});
        }
    }
    T* const mixed = parallel::scratch<T>(columns.count, roi_slot + 2);
    each_row([&](const T* from, const RoiTap<T>* first, const RoiTap<T>* last, T* to)
                 LAMINA_INLINE_LAMBDA { roi_row_in_memory(from, g.width, first, last, columns, mixed, to, g.out_w); });
}

/// Adds the gradient of all bins of one region to the channels [begin, end) of its image.
template <class Arch, class T>
void roi_align_region_gradient(const RoiGeometry& g, const RoiTable<T>& table, Index region, Index begin, Index end,
                               const T* dy, T* dx) {
    using V = simd::Vec<T, Arch>;
    const auto& r = table.regions[std::size_t(region)];
    const Index count = r.end - r.left, plane = g.height * g.width;
    if (count == 0) return;
    const std::int32_t *const rows = table.row_begin(region), *const columns = table.column_begin(region);
    const RoiTap<T>* const taps = table.taps.data();
    // Row o: what each column takes from bin o. Only few of its vectors hold anything, [span[2 o], span[2 o + 1]).
    const Index stride = (count + V::width - 1) / V::width * V::width;
    T* const share = parallel::scratch<T>((g.out_w + 1) * stride, roi_slot);
    Index* const span = parallel::scratch<Index>(2 * g.out_w, roi_slot + 1);
    T* const mixed = share + g.out_w * stride;
    for (Index i = 0; i < g.out_w * stride; ++i) share[i] = T(0);
    for (Index o = 0; o < g.out_w; ++o) {
        Index low = stride, high = 0;
        for (std::int32_t k = columns[o]; k < columns[o + 1]; ++k) {
            const Index at = taps[k].index - r.left;
            share[o * stride + at] += taps[k].weight;
            low = at < low ? at : low, high = at >= high ? at + 1 : high;
        }
        span[2 * o] = low / V::width * V::width, span[2 * o + 1] = high;
    }
    for (Index c = begin; c < end; ++c) {
        T* const to = dx + c * plane + r.left;
        for (Index i = 0; i < g.out_h; ++i, dy += g.out_w) {
            if (rows[i] == rows[i + 1]) continue;
            for (Index k = 0; k < stride; k += V::width) store(mixed + k, V(T(0)));
            for (Index o = 0; o < g.out_w; ++o)
                for (Index k = span[2 * o]; k < span[2 * o + 1]; k += V::width)
                    store(mixed + k,
                          fma(V(dy[o]), simd::load<Arch>(share + o * stride + k), simd::load<Arch>(mixed + k)));
            for (std::int32_t t = rows[i]; t < rows[i + 1]; ++t) {
                T* const row = to + taps[t].index * g.width;
                const V weight = taps[t].weight;
                simd::row<Arch, T>(count, [&](Index k, auto n) LAMINA_INLINE_LAMBDA {
                    store_count(row + k, fma(weight, simd::load<Arch>(mixed + k), simd::load_count<Arch>(row + k, n)),
                                n);
                });
            }
        }
    }
}

}  // namespace detail

template <class Arch, class T>
void roi_align_forward(const RoiGeometry& g, const RoiTable<T>& table, const T* x, T* y) {
    const Index block = detail::roi_block<T>(g), plane = g.height * g.width, bins = g.out_h * g.out_w;
    if (block == 0 || bins == 0) return;
    const Index count = Index(table.regions.size()), blocks = (g.channels + block - 1) / block;
    const Index chunk = parallel::grain_for(block * bins * 4), chunks = (count + chunk - 1) / chunk;
    parallel::for_each(blocks * chunks, [&](Index task) {
        const Index begin = task / chunks * block, end = begin + block < g.channels ? begin + block : g.channels;
        const Index first = task % chunks * chunk, last = first + chunk < count ? first + chunk : count;
        for (Index k = first; k < last; ++k) {
            const auto& r = table.regions[std::size_t(k)];
            detail::roi_align_region<Arch>(g, table, k, begin, end, x + r.image * g.channels * plane,
                                           y + (r.output * g.channels + begin) * bins);
        }
    });
}

template <class Arch, class T>
void roi_align_grad_input(const RoiGeometry& g, const RoiTable<T>& table, const T* dy, T* dx) {
    // Blocks small enough to occupy some threads; each channel meets the regions in their order all the same.
    const Index most = detail::roi_block<T>(g), block = most < 8 ? most : 8, plane = g.height * g.width,
                bins = g.out_h * g.out_w;
    if (block == 0 || bins == 0) return;
    parallel::for_each((g.channels + block - 1) / block, [&](Index task) {
        const Index begin = task * block, end = begin + block < g.channels ? begin + block : g.channels;
        for (Index k = 0; k < Index(table.regions.size()); ++k) {
            const auto& r = table.regions[std::size_t(k)];
            detail::roi_align_region_gradient<Arch>(g, table, k, begin, end,
                                                    dy + (r.output * g.channels + begin) * bins,
                                                    dx + r.image * g.channels * plane);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
