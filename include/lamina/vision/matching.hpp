#pragma once
// Which anchor answers for which object: thresholds on IoU, ATSS, and greedy pairs. Results are rows of anchors with
// the index of their object.
#include <lamina/vision/boxes_iou.hpp>

#include <cmath>
#include <vector>

namespace lamina::inline LAMINA_ABI::vision {

inline constexpr std::int64_t background = -1;  ///< an anchor without object
inline constexpr std::int64_t ignored = -2;     ///< an anchor that takes no part in training

/// Thresholds of match_by_iou.
struct IouThresholds {
    double positive = 0.7;  ///< from here on an anchor answers for its best object
    double negative = 0.3;  ///< below, it is background; between, ignored
    double rescue = -1;     ///< an object's best anchors (all equal ones) answer too from here on; never if negative
};

/// The object of each anchor [A], by the overlaps [G, A] of G objects with A anchors; `background` or `ignored` else.
/// As in Faster R-CNN (S. Ren et al., 2015); a rescued anchor answers for its own best object. Throws ValueError when
/// the thresholds cross.
template <Real T>
Tensor<std::int64_t, 1> match_by_iou(const Tensor<T, 2>& overlaps, const IouThresholds& o = {}) {
    require<ValueError>(o.negative <= o.positive,
                        "match_by_iou: negative threshold must not be above the positive one (", o.negative, " and ",
                        o.positive, ")");
    const auto x = detail::dense(overlaps);
    const Index objects = x.shape()[0], anchors = x.shape()[1];
    auto out = full<std::int64_t>(Shape{anchors}, background);
    if (objects == 0) return out;
    std::int64_t* const match = out.mutable_data();
    std::vector<Index> best(static_cast<std::size_t>(anchors), 0);
    for (Index a = 0; a < anchors; ++a) {
        Index& g = best[std::size_t(a)];
        for (Index i = 1; i < objects; ++i)
            if (x.data()[i * anchors + a] > x.data()[g * anchors + a]) g = i;
        const double overlap = double(x.data()[g * anchors + a]);
        match[a] = overlap >= o.positive ? g : overlap < o.negative ? background : ignored;
    }
    if (o.rescue < 0) return out;
    for (Index i = 0; i < objects; ++i) {
        const T* const row = x.data() + i * anchors;
        T most = T(-1);
        for (Index a = 0; a < anchors; ++a) most = row[a] > most ? row[a] : most;
        if (!(double(most) >= o.rescue)) continue;
        for (Index a = 0; a < anchors; ++a)
            if (row[a] == most) match[a] = best[std::size_t(a)];
    }
    return out;
}

/// Anchors with their objects, and how well they fit.
template <class T>
struct AtssMatch {
    Tensor<std::int64_t, 1> objects;  ///< [A], or `background`
    Tensor<T, 1> overlaps;            ///< [A] IoU with the object; 0 for background
};

/// Adaptive assignment (S. Zhang et al., ATSS, CVPR 2020) of anchors [A, 4], level after level of `level_sizes`, to
/// objects [G, 4] (x1, y1, x2, y2): per object and level the `candidates` anchors with the nearest centres; of these
/// all whose IoU reaches mean + standard deviation (n - 1) and whose centre lies inside the object. An anchor wanted by
/// several goes to the largest IoU. Throws ShapeError unless the levels add up to A.
template <Real T>
AtssMatch<T> match_atss(const Tensor<T, 2>& anchors, std::span<const std::int64_t> level_sizes,
                        const Tensor<T, 2>& objects, Index candidates = 9) {
    detail::require_columns("match_atss", "anchors", anchors, 4);
    detail::require_columns("match_atss", "objects", objects, 4);
    const auto a = detail::dense(anchors), g = detail::dense(objects);
    const Index count = a.shape()[0];
    Index total = 0;
    for (const auto size : level_sizes) total += size;
    require(total == count, "match_atss: levels must add up to the anchors (", total, " and ", count, ")");
    AtssMatch<T> out{full<std::int64_t>(Shape{count}, background), zeros<T>(Shape{count})};
    std::int64_t* const match = out.objects.mutable_data();
    T* const best = out.overlaps.mutable_data();
    const auto overlaps = pairwise_iou(g.detach(), a.detach());
    const auto centre = [](const T* box, int k) { return (box[k] + box[k + 2]) / 2; };
    std::vector<std::pair<T, Index>> near;
    std::vector<Index> chosen;
    for (Index i = 0; i < g.shape()[0]; ++i) {
        const T* const object = g.data() + 4 * i;
        const T* const overlap = overlaps.data() + i * count;
        chosen.clear();
        Index begin = 0;
        for (const auto size : level_sizes) {
            near.clear();
            for (Index j = begin; j < begin + size; ++j) {
                const T dx = centre(a.data() + 4 * j, 0) - centre(object, 0);
                const T dy = centre(a.data() + 4 * j, 1) - centre(object, 1);
                near.emplace_back(dx * dx + dy * dy, j);
            }
            const Index few = std::min<Index>(candidates, size);
            std::partial_sort(near.begin(), near.begin() + few, near.end());
            for (Index k = 0; k < few; ++k) chosen.push_back(near[std::size_t(k)].second);
            begin += size;
        }
        double mean = 0, square = 0;
        for (const Index j : chosen) mean += double(overlap[j]) / double(chosen.size());
        for (const Index j : chosen) square += (double(overlap[j]) - mean) * (double(overlap[j]) - mean);
        const double threshold = mean + (chosen.size() > 1 ? std::sqrt(square / double(chosen.size() - 1)) : 0.0);
        for (const Index j : chosen) {
            const T x = centre(a.data() + 4 * j, 0), y = centre(a.data() + 4 * j, 1);
            const T inside = std::min(std::min(x - object[0], y - object[1]), std::min(object[2] - x, object[3] - y));
            if (T(threshold) > overlap[j] || !(inside > T(0.01))) continue;
            if (match[j] == background || overlap[j] > best[j]) match[j] = i, best[j] = overlap[j];
        }
    }
    return out;
}

/// Pairs of rows and columns of costs [R, C], cheapest first, each row and column used once: the column of each row
/// [R], -1 without one. Costs above `most` (and NaN) make no pair. Equal costs: lower row, then lower column first.
template <Real T>
Tensor<std::int64_t, 1> match_greedy(const Tensor<T, 2>& costs, double most = __builtin_inf()) {
    const auto x = detail::dense(costs);
    const Index rows = x.shape()[0], columns = x.shape()[1];
    std::vector<std::pair<T, Index>> pairs;
    for (Index i = 0; i < x.numel(); ++i)
        if (double(x.data()[i]) <= most) pairs.emplace_back(x.data()[i], i);
    std::sort(pairs.begin(), pairs.end());
    auto out = full<std::int64_t>(Shape{rows}, -1);
    std::int64_t* const match = out.mutable_data();
    std::vector<bool> used(static_cast<std::size_t>(columns));
    for (const auto& [cost, at] : pairs) {
        if (match[at / columns] >= 0 || used[std::size_t(at % columns)]) continue;
        match[at / columns] = at % columns;
        used[std::size_t(at % columns)] = true;
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
