#pragma once
// Suppression that lowers scores instead of removing boxes (soft, matrix), or looks at centres too (DIoU).
#include <lamina/kernels/box_metrics.hpp>
#include <lamina/simd/math.hpp>
#include <lamina/vision/boxes_iou.hpp>
#include <lamina/vision/nms.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// Boxes with the scores that suppression leaves them.
template <class T>
struct Rescored {
    Tensor<std::int64_t, 1> indices;  ///< [K] rows of the input, by falling new score
    Tensor<T, 1> scores;              ///< [K]
};

/// How an overlap lowers a score: to 0 above the threshold, by 1 - IoU above it, or everywhere by a Gaussian.
enum class Decay { hard, linear, gaussian };

/// What may be chosen about soft suppression.
struct SoftNmsOptions {
    Decay decay = Decay::linear;
    double iou_threshold = 0.3;    ///< of the hard and linear decay
    double sigma = 0.5;            ///< of exp(-IoU² / sigma)
    double least = 0.001;          ///< boxes are dropped when their score falls below this
    bool legacy_plus_one = false;  ///< sides are x2 - x1 + 1, as in CenterNet's code
};

/// Soft suppression of boxes [N, 4] (x1, y1, x2, y2) by scores [N]: again and again the best box is taken and the rest
/// loses by its overlap with it. Equal scores: lower index first. Boxes with NaN scores are dropped. N. Bodla et al.,
/// Soft-NMS, ICCV 2017. Throws ShapeError, and ValueError unless sigma is positive.
template <Real T>
Rescored<T> soft_nms(const Tensor<T, 2>& boxes, const Tensor<T, 1>& scores, const SoftNmsOptions& o = {}) {
    using V = simd::Vec<T>;
    detail::require_scores("soft_nms", boxes, scores);
    require<ValueError>(o.sigma > 0, "soft_nms: sigma must be positive but is ", o.sigma);
    const auto b = o.legacy_plus_one ? detail::whole_pixels(boxes) : detail::dense(boxes);
    const auto s = detail::dense(scores);
    const Index n = b.shape()[0];
    const T least = T(o.least);
    // Columns x1, y1, x2, y2 of what is left, its scores and rows.
    std::vector<T> columns(std::size_t(n) * 5);
    std::vector<Index> rows;
    T* const c = columns.data();
    T* const score = c + 4 * n;
    for (Index i = 0; i < n; ++i) {
        if (!(s.data()[i] >= least)) continue;
        const Index at = Index(rows.size());
        for (int k = 0; k < 4; ++k) c[k * n + at] = b.data()[4 * i + k];
        score[at] = s.data()[i];
        rows.push_back(i);
    }
    std::vector<Index> taken;
    std::vector<T> taken_scores;
    const kernels::BoxMetricOf<kernels::BoxMetric::iou, T> iou({.overlap_eps = 0});
    while (!rows.empty()) {
        const Index left = Index(rows.size());
        Index best = 0;
        for (Index i = 1; i < left; ++i)
            if (score[i] > score[best] || (score[i] == score[best] && rows[std::size_t(i)] < rows[std::size_t(best)]))
                best = i;
        taken.push_back(rows[std::size_t(best)]);
        taken_scores.push_back(score[best]);
        const kernels::Columns<V, 4> winner{{c[best], c[n + best], c[2 * n + best], c[3 * n + best]}};
        score[best] = T(-1);
        simd::row<simd::native, T>(left, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            const auto others = kernels::detail::load_soa<simd::native>(c, n, i, count);
            const V overlap = iou.measure(winner, others), old = simd::load_count(score + i, count);
            V factor(T(1));
            if (o.decay == Decay::gaussian) factor = exp(overlap * overlap * V(T(-1 / o.sigma)));
            else {
                const V lowered = o.decay == Decay::linear ? V(T(1)) - overlap : V(T(0));
                factor = select(overlap > V(T(o.iou_threshold)), lowered, factor);
            }
            simd::store_count(score + i, old * factor, count);
        });
        Index kept = 0;
        for (Index i = 0; i < left; ++i) {
            // Also what has just been taken: its score is not positive any more.
            if (i == best || !(score[i] >= least)) continue;
            if (i != kept) {
                for (int k = 0; k < 4; ++k) c[k * n + kept] = c[k * n + i];
                score[kept] = score[i];
                rows[std::size_t(kept)] = rows[std::size_t(i)];
            }
            ++kept;
        }
        rows.resize(std::size_t(kept));
    }
    Rescored<T> out{detail::as_indices(taken.data(), Index(taken.size())), empty<T>(Shape{Index(taken.size())})};
    std::copy_n(taken_scores.data(), taken_scores.size(), out.scores.mutable_data());
    return out;
}

/// `nms` in which a box removes those with IoU - (centre distance² / enclosing diagonal²)^beta above `threshold`:
/// Z. Zheng et al., AAAI 2020. Throws ShapeError.
template <Real T>
Tensor<std::int64_t, 1> diou_nms(const Tensor<T, 2>& boxes, const Tensor<T, 1>& scores, double threshold,
                                 double beta = 1) {
    using V = simd::Vec<T, simd::scalar>;
    detail::require_scores("diou_nms", boxes, scores);
    const auto b = detail::dense(boxes);
    const auto s = detail::dense(scores);
    const Index n = b.shape()[0];
    std::vector<Index> order(static_cast<std::size_t>(n)), kept;
    const Index voters = kernels::score_order(n, s.data(), order.data());
    const kernels::BoxMetricOf<BoxMetric::iou, T> iou({.overlap_eps = 0});
    const kernels::BoxMetricOf<BoxMetric::diou, T> diou({.eps = 0, .overlap_eps = 0});
    std::size_t judges = 0;
    for (Index k = 0; k < n; ++k) {
        const auto box = kernels::detail::broadcast_box<simd::scalar>(b.data() + 4 * order[std::size_t(k)]);
        bool keep = true;
        for (std::size_t j = 0; j < judges && keep; ++j) {
            const auto other = kernels::detail::broadcast_box<simd::scalar>(b.data() + 4 * kept[j]);
            const V overlap = iou.measure(box, other), apart = overlap - diou.measure(box, other);
            const double penalty = beta == 1 ? double(apart.v) : double(pow(apart, V(T(beta))).v);
            keep = !(double(overlap.v) - penalty > threshold);
        }
        if (!keep) continue;
        kept.push_back(order[std::size_t(k)]);
        judges += k < voters;
    }
    return detail::as_indices(kept.data(), Index(kept.size()));
}

/// What may be chosen about tensorflow_nms.
struct TensorflowNmsOptions {
    Index most = 100;                           ///< boxes that remain
    double iou_threshold = 0.5;                 ///< boxes above it are removed
    double score_threshold = -__builtin_inf();  ///< boxes take part above it only
};

/// `nms` as TensorFlow has it (tf.image.non_max_suppression): boxes [N, 4] (y1, x1, y2, x2), in which any two opposite
/// corners may stand. Throws ShapeError, and ValueError for a negative number.
template <Real T>
Tensor<std::int64_t, 1> tensorflow_nms(const Tensor<T, 2>& boxes, const Tensor<T, 1>& scores,
                                       const TensorflowNmsOptions& o = {}) {
    detail::require_scores("tensorflow_nms", boxes, scores);
    require<ValueError>(o.most >= 0, "tensorflow_nms: the number of boxes must not be negative but is ", o.most);
    auto sorted = boxes.clone();
    T* box = sorted.mutable_data();
    for (Index i = 0; i < boxes.shape()[0]; ++i, box += 4)
        for (int k = 0; k < 2; ++k)
            if (box[k] > box[k + 2]) std::swap(box[k], box[k + 2]);
    const auto kept = nms(sorted, scores, o.iou_threshold);
    // Boxes of low scores come last and remove nobody before them.
    Index count = 0;
    while (count < kept.numel() && count<o.most&& double(scores(kept(count)))> o.score_threshold) ++count;
    return detail::as_indices(kept.data(), count);
}

/// Scores lowered in one pass from all overlaps [N, N] of boxes or masks sorted by falling score, without a sequential
/// loop: s_j * min over i before j of f(overlap_ij) / f(largest overlap of i with those before it), f(x) = 1 - x or
/// exp(-sigma x²). X. Wang et al., SOLOv2, NeurIPS 2020. Throws ShapeError.
template <Real T>
Tensor<T, 1> matrix_nms(const Tensor<T, 2>& overlaps, const Tensor<T, 1>& scores, Decay decay = Decay::gaussian,
                        double sigma = 2) {
    const auto x = detail::dense(overlaps);
    const auto s = detail::dense(scores);
    const Index n = s.shape()[0];
    require(x.shape() == Shape{n, n}, "matrix_nms: overlaps must have shape ", Shape{n, n}, " but has ", x.shape());
    auto out = empty<T>(Shape{n});
    T* const y = out.mutable_data();
    std::vector<double> compensation(static_cast<std::size_t>(n), 0.0);
    for (Index j = 0; j < n; ++j) {
        double factor = 1;
        for (Index i = 0; i < j; ++i) {
            const double over = double(x.data()[i * n + j]), most = compensation[std::size_t(i)];
            double f = 0;
            // 1 - 0 in the denominator of a box that is covered itself: held away from 0.
            if (decay == Decay::gaussian)
                f = double(exp(simd::Vec<double, simd::scalar>(sigma * (most * most - over * over))).v);
            else f = (1 - over) / (1 - most > 1e-6 ? 1 - most : 1e-6);
            factor = f < factor ? f : factor;
            compensation[std::size_t(j)] = std::max(compensation[std::size_t(j)], over);
        }
        y[j] = T(double(s.data()[j]) * factor);
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
