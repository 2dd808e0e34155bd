#pragma once
// Boxes of several models become one: averages of all that agree, instead of the best alone.
#include <lamina/vision/boxes_iou.hpp>
#include <lamina/vision/nms.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// Weighted fusion of boxes [N, 4] (x1, y1, x2, y2) with positive scores [N] and classes [N] from `models` models: each
/// box, by falling score, joins the cluster of its class whose mean box it overlaps most, if above `threshold`, or
/// opens one. A cluster's box is the mean of its members by score; its score is their mean, times the part of the
/// models that found it (members, at most all). `from` is the best member. R. Solovyev et al., 2021. Throws ShapeError,
/// ValueError for a number of models below 1 or a score that is not positive.
template <Real T>
Detections<T> fuse_boxes(const Tensor<T, 2>& boxes, const Tensor<T, 1>& scores, const Tensor<std::int64_t, 1>& classes,
                         Index models, double threshold = 0.55) {
    using V = simd::Vec<T, simd::scalar>;
    detail::require_scores("fuse_boxes", boxes, scores);
    require(classes.shape()[0] == boxes.shape()[0], "fuse_boxes: there must be one class for each box (",
            classes.shape(), " and ", boxes.shape(), ")");
    require<ValueError>(models >= 1, "fuse_boxes: there must be one model or more but there are ", models);
    struct Cluster {
        T box[4];
        double sum[4], weight;
        Index members, first;
        std::int64_t id;
    };
    const auto b = detail::dense(boxes);
    const auto s = detail::dense(scores);
    const Index n = b.shape()[0];
    std::vector<Index> order(static_cast<std::size_t>(n));
    (void)kernels::score_order(n, s.data(), order.data());
    std::vector<Cluster> clusters;
    const auto iou = detail::exact_metric<BoxMetric::iou, T>();
    for (const Index i : order) {
        const double score = double(s.data()[i]);
        require<ValueError>(score > 0, "fuse_boxes: scores must be positive but number ", i, " is ", score);
        const T* const box = b.data() + 4 * i;
        Cluster* home = nullptr;
        double most = threshold;
        for (Cluster& c : clusters) {
            if (c.id != classes(i)) continue;
            const V overlap = iou.measure(kernels::detail::broadcast_box<simd::scalar>(c.box),
                                          kernels::detail::broadcast_box<simd::scalar>(box));
            if (double(overlap.v) > most) most = double(overlap.v), home = &c;
        }
        if (!home) {
            clusters.push_back({{}, {}, 0, 0, i, classes(i)});
            home = &clusters.back();
        }
        home->weight += score;
        ++home->members;
        for (int k = 0; k < 4; ++k) {
            home->sum[k] += score * double(box[k]);
            home->box[k] = T(home->sum[k] / home->weight);
        }
    }
    const auto score_of = [models](const Cluster& c) {
        const Index found = c.members < models ? c.members : models;
        return c.weight / double(c.members) * double(found) / double(models);
    };
    std::sort(clusters.begin(), clusters.end(), [&](const Cluster& x, const Cluster& y) {
        const double a = score_of(x), c = score_of(y);
        return a != c ? a > c : x.first < y.first;
    });
    const Index count = Index(clusters.size());
    Detections<T> out{empty<T>(Shape{count, 4}), empty<T>(Shape{count}), empty<std::int64_t>(Shape{count}),
                      empty<std::int64_t>(Shape{count})};
    T *to_box = out.boxes.mutable_data(), *to_score = out.scores.mutable_data();
    std::int64_t *to_class = out.classes.mutable_data(), *to_row = out.from.mutable_data();
    for (const Cluster& c : clusters) {
        to_box = std::copy_n(c.box, 4, to_box);
        *to_score++ = T(score_of(c));
        *to_class++ = c.id;
        *to_row++ = c.first;
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
