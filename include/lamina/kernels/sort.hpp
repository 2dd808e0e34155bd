#pragma once
// Sorting and selection along the middle dimension of [outer, count, inner]. Elements become unsigned keys whose order
// is theirs (NaN above everything, -0 equal to 0); short lines are sorted by insertion, long ones by radix: both
// stable.
#include <lamina/kernels/reduce.hpp>

#include <algorithm>
#include <bit>

namespace lamina::inline LAMINA_ABI::kernels {

/// indices[o, c, i] = place of the element that comes c-th in the sorted line, the lower index first on ties;
/// values[o, c, i] = that element, unless `values` is null.
template <class T>
void sort_lines(const ReduceGeometry& g, const T* x, bool descending, T* values, Index* indices);

/// The `k` first of each sorted line [outer, k, inner], without sorting the rest. `k` is at most `count`.
template <class T>
void topk_lines(const ReduceGeometry& g, const T* x, Index k, bool largest, T* values, Index* indices);

namespace detail {

template <class T>
using sort_key = std::conditional_t<sizeof(T) <= 4, std::uint32_t, std::uint64_t>;

template <class T>
LAMINA_INLINE sort_key<T> key_of(T x) {
    using Key = sort_key<T>;
    constexpr Key sign = Key(1) << (8 * sizeof(Key) - 1);
    if constexpr (std::is_floating_point_v<T>) {
        if (x != x) return ~Key(0);
        const Key bits = std::bit_cast<Key>(x == T(0) ? T(0) : x);
        return bits & sign ? ~bits : bits | sign;
    } else if constexpr (std::is_signed_v<T>) {
        return Key(std::make_signed_t<Key>(x)) ^ sign;
    } else {
        return Key(x);
    }
}

template <class T>
struct SortItem {
    sort_key<T> key;
    sort_key<T> index;
    bool operator<(const SortItem& other) const { return key != other.key ? key < other.key : index < other.index; }
};

template <class T>
void insertion_sort(SortItem<T>* items, Index n) {
    for (Index i = 1; i < n; ++i) {
        const SortItem<T> item = items[i];
        Index j = i;
        for (; j > 0 && items[j - 1].key > item.key; --j) items[j] = items[j - 1];
        items[j] = item;
    }
}

/// Least significant byte first; a byte that all keys share costs one look at its counts. Returns where the sorted
/// items are: `items` or `spare`.
template <class T>
SortItem<T>* radix_sort(SortItem<T>* items, SortItem<T>* spare, Index n) {
    constexpr int bytes = sizeof(sort_key<T>);
    Index counts[bytes][256] = {};
    for (Index i = 0; i < n; ++i)
        for (int b = 0; b < bytes; ++b) ++counts[b][items[i].key >> (8 * b) & 255u];
    for (int b = 0; b < bytes; ++b) {
        if (counts[b][items[0].key >> (8 * b) & 255u] == n) continue;
        Index at = 0;
        for (Index& count : counts[b]) {
            const Index here = count;
            count = at;
            at += here;
        }
        for (Index i = 0; i < n; ++i) spare[counts[b][items[i].key >> (8 * b) & 255u]++] = items[i];
        std::swap(items, spare);
    }
    return items;
}

/// Calls f(line, items) for each line, with its keys and indices filled in, complemented for a descending order;
/// behind the `count` items there is room for as many.
template <class T, class F>
void for_sorted_lines(const ReduceGeometry& g, const T* x, bool descending, F&& f) {
    parallel::for_range(g.outer * g.inner, parallel::grain_for(16 * g.count), [&](Index begin, Index end) {
        auto* items = parallel::scratch<SortItem<T>>(2 * g.count, reduce_slot);
        for (Index line = begin; line < end; ++line) {
            const T* from = x + line / g.inner * g.count * g.inner + line % g.inner;
            for (Index c = 0; c < g.count; ++c) {
                const auto key = key_of(from[c * g.inner]);
                items[c] = {descending ? sort_key<T>(~key) : key, sort_key<T>(c)};
            }
            f(line, from, items);
        }
    });
}

}  // namespace detail

template <class T>
void sort_lines(const ReduceGeometry& g, const T* x, bool descending, T* values, Index* indices) {
    constexpr Index few = 48;
    detail::for_sorted_lines(g, x, descending, [&](Index line, const T* from, detail::SortItem<T>* items) {
        const Index base = line / g.inner * g.count * g.inner + line % g.inner;
        const detail::SortItem<T>* sorted = items;
        if (g.count <= few) detail::insertion_sort(items, g.count);
        else sorted = detail::radix_sort(items, items + g.count, g.count);
        for (Index c = 0; c < g.count; ++c) {
            indices[base + c * g.inner] = Index(sorted[c].index);
            if (values) values[base + c * g.inner] = from[Index(sorted[c].index) * g.inner];
        }
    });
}

namespace detail {

/// First c in [begin, n) whose element may come before `limit`, for dense lines: most vectors of a long line are passed
/// over by one comparison.
template <class T>
Index next_candidate(const T* x, Index begin, Index n, T limit, bool largest) {
    if constexpr (std::is_floating_point_v<T>) {
        using V = simd::Vec<T>;
        const V bound = limit;
        for (; begin + V::width <= n; begin += V::width) {
            const V v = simd::load(x + begin);
            if (any(~(largest ? v <= bound : v >= bound))) break;
        }
    }
    return begin;
}

}  // namespace detail

template <class T>
void topk_lines(const ReduceGeometry& g, const T* x, Index k, bool largest, T* values, Index* indices) {
    using Item = detail::SortItem<T>;
    if (k == 0) return;
    parallel::for_range(g.outer * g.inner, parallel::grain_for(2 * g.count), [&](Index begin, Index end) {
        auto* best = parallel::scratch<Item>(k, detail::reduce_slot);
        for (Index line = begin; line < end; ++line) {
            const T* from = x + line / g.inner * g.count * g.inner + line % g.inner;
            const auto item = [&](Index c) {
                const auto key = detail::key_of(from[c * g.inner]);
                return Item{largest ? detail::sort_key<T>(~key) : key, detail::sort_key<T>(c)};
            };
            for (Index c = 0; c < k; ++c) best[c] = item(c);
            std::make_heap(best, best + k);  // the worst of the k best so far is on top
            const auto offer = [&](Index c) {
                const Item candidate = item(c);
                if (!(candidate < best[0])) return;
                std::pop_heap(best, best + k);
                best[k - 1] = candidate;
                std::push_heap(best, best + k);
            };
            constexpr Index stretch = 16;
            for (Index c = k; c < g.count; c += stretch) {
                if (g.inner == 1) c = detail::next_candidate(from, c, g.count, from[best[0].index], largest);
                for (Index i = c; i < c + stretch && i < g.count; ++i) offer(i);
            }
            std::sort_heap(best, best + k);
            const Index base = line / g.inner * k * g.inner + line % g.inner;
            for (Index c = 0; c < k; ++c) {
                indices[base + c * g.inner] = Index(best[c].index);
                values[base + c * g.inner] = from[Index(best[c].index) * g.inner];
            }
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
