#pragma once
// The workloads of detectors: overlaps and losses of boxes, suppression, features of regions, assignment.
#include "problems.hpp"

namespace peers {

/// Boxes (x1, y1, x2, y2) in a square of `extent`; `objects` > 0 puts them near so many places, as before suppression.
inline Array<float> some_boxes(Index count, float extent, float least, float most, Index objects, std::uint64_t seed) {
    const auto r = noise(4 * count, seed), places = noise(4 * std::max<Index>(objects, 1), seed + 1);
    Array<float> boxes(4 * count);
    for (Index i = 0; i < count; ++i) {
        const float* const near = &places[4 * (objects ? i % objects : 0)];
        const float* const own = &r[4 * i];
        const auto unit = [&](int k) { return 0.5f + 0.5f * (objects ? near[k] : own[k]); };
        const float jitter = objects ? 0.1f : 0.0f;
        const float w = (least + (most - least) * unit(2)) * (1 + jitter * own[2]);
        const float h = (least + (most - least) * unit(3)) * (1 + jitter * own[3]);
        const float x = extent * unit(0) + jitter * w * own[0], y = extent * unit(1) + jitter * h * own[1];
        boxes[4 * i] = x - w / 2, boxes[4 * i + 1] = y - h / 2;
        boxes[4 * i + 2] = x + w / 2, boxes[4 * i + 3] = y + h / 2;
    }
    return boxes;
}

enum class BoxLoss { giou, diou, ciou };

/// Mean loss of `count` pairs of boxes, with the gradient of the first ones if `backward`.
struct BoxPairs {
    Index count;
    BoxLoss loss;
    bool backward;
    Array<float> a = some_boxes(count, 20, 5, 40, 0, 1), b = some_boxes(count, 20, 5, 40, 0, 2);
};

/// IoU of every box with every other.
struct PairwiseIou {
    Index n, m;
    Array<float> a = some_boxes(n, 1000, 10, 200, 0, 1), b = some_boxes(m, 1000, 10, 200, 0, 2);
};

/// Suppression at IoU 0.5, by class when there are several.
struct Suppression {
    Index count, objects, classes = 1;  ///< objects 0: boxes anywhere
    float extent = 1000;
    Array<float> boxes = some_boxes(count, extent, 10, 100, objects, 1), scores = noise(count, 3);
    Array<Index> labels = numbered(count, classes);

    static Array<Index> numbered(Index count, Index classes) {
        Array<Index> labels(count);
        for (Index i = 0; i < count; ++i) labels[i] = i * 7919 % classes;
        return labels;
    }
};

/// Soft suppression, linear, IoU 0.3, scores below 0.001 dropped.
struct SoftSuppression {
    Index count, objects;
    Array<float> boxes = some_boxes(count, 1000, 10, 100, objects, 1), scores = positive(count);

    static Array<float> positive(Index count) {
        auto scores = noise(count, 3);
        for (Index i = 0; i < count; ++i) scores[i] = 0.5f + 0.499f * scores[i];
        return scores;
    }
};

/// Sum of sigmoid focal or varifocal losses, with the gradient of the logits; one target in 97 is positive.
struct FocalLoss {
    Index count;
    bool varifocal;
    Array<float> logits = noise(count, 1), targets = sparse(count, varifocal);

    static Array<float> sparse(Index count, bool graded) {
        Array<float> targets(count);
        for (Index i = 0; i < count; i += 97) targets[i] = graded ? 0.1f + float(i % 9) / 10 : 1.0f;
        return targets;
    }
};

/// RoIAlign of one image's regions, 2 x 2 points to a bin; `sensitive` gives each bin channels of its own.
struct RoiAlign {
    Index channels, height, width, regions, bins;
    bool sensitive, backward = false;
    Array<float> x = noise(channels * height * width, 1), rois = make_rois(regions, height, width);

    static constexpr double scale = 1.0 / 16;
    Index out_channels() const { return sensitive ? channels / (bins * bins) : channels; }
    Index outputs() const { return backward ? x.size() : regions * out_channels() * bins * bins; }
    static Array<float> make_rois(Index regions, Index height, Index width) {
        const auto r = noise(4 * regions, 5);
        Array<float> rois(5 * regions);
        for (Index k = 0; k < regions; ++k)
            for (int axis = 0; axis < 2; ++axis) {
                const float extent = 16 * float(axis ? height : width);
                const float size = extent * (0.05f + 0.4f * (0.5f + 0.5f * r[4 * k + axis]));
                const float from = (extent - size) * (0.5f + 0.5f * r[4 * k + 2 + axis]);
                rois[5 * k + 1 + axis] = from, rois[5 * k + 3 + axis] = from + size;
            }
        return rois;
    }
};

/// Assignment of least cost.
struct Assign {
    Index rows, columns;
    Array<double> costs = noise<double>(rows * columns, 1);
};

/// The best `most` objects of heat maps [classes, size, size], given as logits, with sizes and offsets.
struct DecodePoints {
    Index classes, size, most;
    Array<float> heat = few_high(classes * size * size), extents = noise(2 * size * size, 2),
                 offsets = noise(2 * size * size, 3);

    /// Most places low, the best well apart.
    static Array<float> few_high(Index count) {
        const auto u = noise<double>(count, 1);
        Array<float> heat(count);
        for (Index i = 0; i < count; ++i) heat[i] = float(-4 - 0.45 * std::log(1.000001 - u[i]));
        return heat;
    }
};

}  // namespace peers
