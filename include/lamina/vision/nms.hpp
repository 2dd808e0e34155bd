#pragma once
// Suppression of boxes that tell of the same object: plain, by class, and the multi-class step of one-stage detectors.
#include <lamina/kernels/nms.hpp>
#include <lamina/vision/boxes_columns.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::vision {

namespace detail {

template <class T>
void require_scores(const char* op, const Tensor<T, 2>& boxes, const Tensor<T, 1>& scores) {
    require_columns(op, "boxes", boxes, 4);
    require(scores.shape()[0] == boxes.shape()[0], op, ": there must be one score for each box (", scores.shape(),
            " and ", boxes.shape(), ")");
}

/// Boxes whose sides are x2 - x1 + 1 in code that counts whole pixels, as ones whose sides are x2 - x1.
template <class T>
Tensor<T, 2> whole_pixels(const Tensor<T, 2>& boxes) {
    auto out = boxes.clone();
    T* const box = out.mutable_data();
    for (Index i = 0; i < out.numel(); ++i) box[i] += i % 4 < 2 ? T(0) : T(1);
    return out;
}

inline Tensor<std::int64_t, 1> as_indices(const Index* from, Index count) {
    auto out = empty<std::int64_t>(Shape{count});
    std::copy_n(from, count, out.mutable_data());
    return out;
}

}  // namespace detail

/// Indices of the boxes [N, 4] (x1, y1, x2, y2) that remain when each box, by falling score [N], removes those after it
/// whose IoU with it is above `threshold`; in that order. Equal scores: lower index first. Boxes with NaN scores come
/// last and remove nobody; boxes with NaN coordinates are never removed and remove nobody. `legacy_plus_one` counts
/// sides as x2 - x1 + 1, as code before 2018 did. Throws ShapeError.
template <Real T>
Tensor<std::int64_t, 1> nms(const Tensor<T, 2>& boxes, const Tensor<T, 1>& scores, double threshold,
                            bool legacy_plus_one = false) {
    detail::require_scores("nms", boxes, scores);
    const auto b = legacy_plus_one ? detail::whole_pixels(boxes) : detail::dense(boxes);
    const auto s = detail::dense(scores);
    const Index n = boxes.shape()[0];
    std::vector<Index> order(std::size_t(n) * 2);
    const Index voters = kernels::score_order(n, s.data(), order.data());
    Index* const kept = order.data() + n;
    return detail::as_indices(kept, kernels::nms(n, b.data(), order.data(), voters, threshold, kept));
}

namespace detail {

/// Suppression among boxes of one class each. `classes` may hold any numbers.
template <class T>
std::vector<Index> nms_by_class(Index n, const T* boxes, const T* scores, const std::int64_t* classes,
                                double threshold) {
    // Grouped by class, each in the order of scores: a stable sort of the positions, which passes over the bytes that
    // all classes share.
    using Item = kernels::detail::SortItem<double>;
    const auto size = static_cast<std::size_t>(n);
    std::vector<Index> order(size), group, survivors(size), kept;
    std::vector<Item> items(2 * size);
    std::vector<char> alive(size);
    if (n == 0) return kept;
    const Index voters = kernels::score_order(n, scores, order.data());
    for (std::size_t k = 0; k < size; ++k)
        items[k] = {std::uint64_t(classes[order[k]]), static_cast<decltype(Item::index)>(k)};
    const Item* const sorted = kernels::detail::radix_sort(items.data(), items.data() + n, n);
    for (std::size_t begin = 0, end = 0; begin < size; begin = end) {
        group.clear();
        Index group_voters = 0;
        for (; end < size && sorted[end].key == sorted[begin].key; ++end) {
            group.push_back(order[std::size_t(sorted[end].index)]);
            group_voters += Index(sorted[end].index) < voters;
        }
        const Index count =
            kernels::nms(Index(group.size()), boxes, group.data(), group_voters, threshold, survivors.data());
        for (Index k = 0; k < count; ++k) alive[std::size_t(survivors[std::size_t(k)])] = 1;
    }
    for (const Index i : order)
        if (alive[std::size_t(i)]) kept.push_back(i);
    return kept;
}

}  // namespace detail

/// `nms` in which only boxes of one class [N] remove each other; indices by falling score over all classes. Throws
/// ShapeError.
template <Real T>
Tensor<std::int64_t, 1> batched_nms(const Tensor<T, 2>& boxes, const Tensor<T, 1>& scores,
                                    const Tensor<std::int64_t, 1>& classes, double threshold) {
    detail::require_scores("batched_nms", boxes, scores);
    require(classes.shape()[0] == boxes.shape()[0], "batched_nms: there must be one class for each box (",
            classes.shape(), " and ", boxes.shape(), ")");
    const auto b = detail::dense(boxes);
    const auto s = detail::dense(scores);
    const auto c = detail::dense(classes);
    const auto kept = detail::nms_by_class(b.shape()[0], b.data(), s.data(), c.data(), threshold);
    return detail::as_indices(kept.data(), Index(kept.size()));
}

/// Detections by falling score.
template <class T>
struct Detections {
    Tensor<T, 2> boxes;                 ///< [K, 4] (x1, y1, x2, y2)
    Tensor<T, 1> scores;                ///< [K]
    Tensor<std::int64_t, 1> classes;    ///< [K]
    Tensor<std::int64_t, 1> from = {};  ///< [K] rows of the input
};

/// The step after a one-stage detector: of all pairs of a box [N, 4] and a class with scores [N, C] above
/// `score_threshold`, batched_nms by class and the `most` best. Throws ShapeError.
template <Real T>
Detections<T> multiclass_nms(const Tensor<T, 2>& boxes, const Tensor<T, 2>& scores, double score_threshold,
                             double iou_threshold, Index most = 100) {
    detail::require_columns("multiclass_nms", "boxes", boxes, 4);
    detail::require_rows("multiclass_nms", boxes, scores);
    const auto b = detail::dense(boxes), s = detail::dense(scores);
    const Index n = s.shape()[0], classes = s.shape()[1];
    std::vector<T> candidate_boxes, candidate_scores;
    std::vector<std::int64_t> candidate_classes, candidate_rows;
    for (Index i = 0; i < n; ++i)
        for (Index c = 0; c < classes; ++c) {
            if (!(s.data()[i * classes + c] > score_threshold)) continue;
            candidate_boxes.insert(candidate_boxes.end(), b.data() + 4 * i, b.data() + 4 * i + 4);
            candidate_scores.push_back(s.data()[i * classes + c]);
            candidate_classes.push_back(c);
            candidate_rows.push_back(i);
        }
    const auto kept = detail::nms_by_class(Index(candidate_scores.size()), candidate_boxes.data(),
                                           candidate_scores.data(), candidate_classes.data(), iou_threshold);
    const Index count = std::min(Index(kept.size()), most);
    Detections<T> out{empty<T>(Shape{count, 4}), empty<T>(Shape{count}), empty<std::int64_t>(Shape{count}),
                      empty<std::int64_t>(Shape{count})};
    T *to_box = out.boxes.mutable_data(), *to_score = out.scores.mutable_data();
    std::int64_t *to_class = out.classes.mutable_data(), *to_row = out.from.mutable_data();
    for (Index k = 0; k < count; ++k) {
        const auto i = std::size_t(kept[std::size_t(k)]);
        std::copy_n(candidate_boxes.data() + 4 * i, 4, to_box + 4 * k);
        to_score[k] = candidate_scores[i], to_class[k] = candidate_classes[i], to_row[k] = candidate_rows[i];
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
