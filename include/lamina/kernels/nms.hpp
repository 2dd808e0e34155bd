#pragma once
// Non-maximum suppression. Boxes come one by one in the order of their scores and are compared with the boxes kept so
// far, which lie in dense columns: a vector of them at a time, and no further than the first that suppresses.
#include <lamina/kernels/box_pairwise.hpp>
#include <lamina/kernels/sort.hpp>
#include <lamina/simd/rounded.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// order[n] = indices by falling score, the lower index first on ties, NaN last. Returns how many are not NaN.
template <class T>
Index score_order(Index n, const T* scores, Index* order);

/// Suppression among boxes[n, 4] (x1, y1, x2, y2) taken in `order`: kept[k] = indices of the boxes whose IoU with every
/// box kept before is at most `threshold`. Boxes from position `voters` of the order on never suppress others. Returns
/// their number. The arithmetic is that of single numbers, product and sum rounded each, on any machine.
template <class Arch = simd::native, class T>
Index nms(Index n, const T* boxes, const Index* order, Index voters, double threshold, Index* kept);

namespace detail {

inline constexpr int nms_slot = 13;

/// The largest T that is not above `x`: v > x holds for the same v of type T.
template <class T>
T round_down(double x) {
    T y = T(x);
    if (double(y) > x) {
        using Bits = sort_key<T>;
        y = y > 0 ? std::bit_cast<T>(Bits(std::bit_cast<Bits>(y) - 1))
                  : std::bit_cast<T>(Bits(std::bit_cast<Bits>(y == 0 ? T(-0.0) : y) + 1));
    }
    return y;
}

/// Kept boxes in columns x1, y1, x2, y2 and area, each `capacity` long.
template <class T>
struct KeptBoxes {
    T* columns;
    Index capacity, count = 0;

    void add(const T* box, T area) {
        for (int k = 0; k < 4; ++k) columns[k * capacity + count] = box[k];
        columns[4 * capacity + count++] = area;
    }
};

template <class Arch, class T>
LAMINA_INLINE T box_area(const T* box) {
    using S = simd::Vec<T, simd::scalar>;
    return (S(box[2] - box[0]) * S(box[3] - box[1])).v;
}

/// Whether some kept box overlaps `box` by more than `threshold`.
template <class Arch, class T>
bool is_suppressed(const KeptBoxes<T>& kept, const T* box, T area, T threshold) {
    using V = simd::Vec<T, Arch>;
    const V x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3], own = area, limit = threshold, zero(T(0));
    // Below this part of the union the quotient cannot round to more than the threshold; for others it is taken always.
    const bool positive = threshold > T(0);
    const V safe = positive ? threshold * T(0.9999) : T(0);
    const T* const c = kept.columns;
    const Index stride = kept.capacity;
    // The padding behind the last box is empty boxes far away.
    for (Index i = 0; i < kept.count; i += V::width) {
        const V w = max(zero, min(simd::load<Arch>(c + 2 * stride + i), x2) - max(simd::load<Arch>(c + i), x1));
        const V h =
            max(zero, min(simd::load<Arch>(c + 3 * stride + i), y2) - max(simd::load<Arch>(c + stride + i), y1));
        const V inner = simd::rounded(w * h);
        const V united = simd::load<Arch>(c + 4 * stride + i) + own - inner;
        if (!positive || any(inner > safe * united)) {
            const auto over = inner / united > limit;
            const Index left = kept.count - i;
            if (left >= V::width ? any(over) : any(over & simd::first_lanes<T, Arch>(left))) return true;
        }
    }
    return false;
}

}  // namespace detail

template <class T>
Index score_order(Index n, const T* scores, Index* order) {
    using Item = detail::SortItem<T>;
    using Key = detail::sort_key<T>;
    if (n == 0) return 0;
    Item* items = parallel::scratch<Item>(2 * n, detail::nms_slot);
    Index numbers = 0;
    for (Index i = 0; i < n; ++i) {
        const bool nan = scores[i] != scores[i];
        numbers += !nan;
        items[i] = {nan ? ~Key(0) : Key(~detail::key_of(scores[i])), Key(i)};
    }
    const Item* const sorted = detail::radix_sort(items, items + n, n);
    for (Index i = 0; i < n; ++i) order[i] = Index(sorted[i].index);
    return numbers;
}

template <class Arch, class T>
Index nms(Index n, const T* boxes, const Index* order, Index voters, double threshold, Index* kept) {
    constexpr Index width = simd::Vec<T, Arch>::width;
    const Index capacity = (n + width - 1) / width * width + width;
    detail::KeptBoxes<T> columns{parallel::scratch<T>(5 * capacity, detail::nms_slot), capacity};
    for (Index i = 0; i < 5 * capacity; ++i) columns.columns[i] = T(0);
    const T limit = detail::round_down<T>(threshold);
    Index count = 0;
    for (Index k = 0; k < n; ++k) {
        const T* const box = boxes + 4 * order[k];
        const T area = detail::box_area<Arch>(box);
        if (detail::is_suppressed<Arch>(columns, box, area, limit)) continue;
        kept[count++] = order[k];
        if (k < voters) columns.add(box, area);
    }
    return count;
}

}  // namespace lamina::inline LAMINA_ABI::kernels
