#pragma once
// Average precision and recall of detectors as the COCO benchmark defines them (T.-Y. Lin et al., ECCV 2014; the rules
// are those of its evaluation code).
#include <lamina/vision/nms.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lamina::inline LAMINA_ABI::vision {

/// The objects of one image.
template <class T>
struct Objects {
    Tensor<T, 2> boxes;               ///< [N, 4] (x1, y1, x2, y2)
    Tensor<std::int64_t, 1> classes;  ///< [N]
    std::vector<bool> crowd = {};     ///< regions of many objects: neither found nor missed; none when empty
    std::vector<double> areas = {};   ///< as annotated; those of the boxes when empty
};

/// Results of AveragePrecision: means over classes, in [0, 1], or -1 where there is no object to find.
struct PrecisionAndRecall {
    double ap = -1, ap50 = -1, ap75 = -1;                 ///< IoU 0.50 to 0.95; 0.50; 0.75
    double ap_small = -1, ap_medium = -1, ap_large = -1;  ///< areas up to 32², up to 96², above
    double ar1 = -1, ar10 = -1, ar100 = -1;               ///< recall with so many detections for an image
    double ar_small = -1, ar_medium = -1, ar_large = -1;  ///< with 100, by area
    std::vector<double> ap_by_class;                      ///< IoU 0.50 to 0.95
};

/// Gathers detections image after image:
///   AveragePrecision metric(80);
///   for (…) metric.add(detections, objects);
///   metric.compute().ap
class AveragePrecision {
public:
    explicit AveragePrecision(Index classes) : classes_(classes) {
        require<ValueError>(classes > 0, "AveragePrecision: number of classes must be positive but is ", classes);
    }

    /// Takes the detections and the objects of the next image. Throws ShapeError, and ValueError for a class that does
    /// not exist.
    template <Real T>
    void add(const Detections<T>& found, const Objects<T>& objects) {
        check_boxes("detections", found.boxes, found.classes);
        check_boxes("objects", objects.boxes, objects.classes);
        const Index n = found.boxes.shape()[0], m = objects.boxes.shape()[0];
        require(found.scores.shape()[0] == n, "AveragePrecision: there must be one score for each box (",
                found.scores.shape(), " and ", found.boxes.shape(), ")");
        require((objects.crowd.empty() || Index(objects.crowd.size()) == m) &&
                    (objects.areas.empty() || Index(objects.areas.size()) == m),
                "AveragePrecision: crowd and areas must have ", m, " entries or none but have ", objects.crowd.size(),
                " and ", objects.areas.size());
        for (Index i = 0; i < n; ++i) {
            Item item = item_of(found.boxes, found.classes, i);
            item.score = double(found.scores(i));
            found_.push_back(item);
        }
        for (Index i = 0; i < m; ++i) {
            Item item = item_of(objects.boxes, objects.classes, i);
            if (!objects.areas.empty()) item.area = objects.areas[std::size_t(i)];
            item.crowd = !objects.crowd.empty() && objects.crowd[std::size_t(i)];
            objects_.push_back(item);
        }
        ++images_;
    }

    /// The metrics of all images so far.
    PrecisionAndRecall compute() const;

private:
    struct Item {
        Index image, label;
        double box[4], area, score = 0;
        bool crowd = false;
    };
    struct Range {
        double least, most;
    };
    static constexpr int thresholds = 10, recalls = 101, most_found = 100;
    /// One detection after matching, by IoU threshold: is it right, is it left out?
    struct Outcome {
        double score;
        bool right[thresholds], left_out[thresholds];
    };
    /// Sums over the classes that have objects.
    struct Totals {
        double precision[thresholds] = {}, recall[thresholds] = {};
        Index classes = 0;

        double mean(const double (&of)[thresholds], int first = 0, int end = thresholds) const {
            double sum = 0;
            for (int t = first; t < end; ++t) sum += of[t];
            return classes ? sum / double(classes) / (end - first) : -1;
        }
    };

    static double threshold(int t) { return t == thresholds - 1 ? 0.95 : 0.5 + t * ((0.95 - 0.5) / 9); }

    template <class T>
    void check_boxes(const char* what, const Tensor<T, 2>& boxes, const Tensor<std::int64_t, 1>& labels) const {
        detail::require_columns("AveragePrecision", what, boxes, 4);
        require(labels.shape()[0] == boxes.shape()[0], "AveragePrecision: there must be one class for each box (",
                labels.shape(), " and ", boxes.shape(), ")");
        for (Index i = 0; i < labels.shape()[0]; ++i)
            require<ValueError>(labels(i) >= 0 && labels(i) < classes_, "AveragePrecision: class must lie in [0, ",
                                classes_, ") but is ", labels(i));
    }
    template <class T>
    Item item_of(const Tensor<T, 2>& boxes, const Tensor<std::int64_t, 1>& labels, Index i) const {
        Item item{images_, labels(i), {}, 0};
        for (Index k = 0; k < 4; ++k) item.box[k] = double(boxes(i, k));
        item.area = (item.box[2] - item.box[0]) * (item.box[3] - item.box[1]);
        return item;
    }
    /// IoU; with a crowd the part of the detection inside it.
    static double overlap(const Item& found, const Item& object) {
        const double w = std::min(found.box[2], object.box[2]) - std::max(found.box[0], object.box[0]);
        const double h = std::min(found.box[3], object.box[3]) - std::max(found.box[1], object.box[1]);
        if (!(w > 0 && h > 0)) return 0;
        const auto area = [](const double* b) { return (b[2] - b[0]) * (b[3] - b[1]); };
        return w * h / (object.crowd ? area(found.box) : area(found.box) + area(object.box) - w * h);
    }

    using Items = std::vector<Item>;
    using Iterator = Items::const_iterator;
    static Index match(Iterator found, Iterator found_end, Iterator object, Iterator object_end, Range range,
                       Index most, std::vector<Outcome>& out);
    static void add_class(const Items& found, const Items& objects, Range range, Index most, Totals& totals);

    Index classes_, images_ = 0;
    Items found_, objects_;
};

/// Matches the detections of one image and class, best first, with its objects; returns how many are to be found.
inline Index AveragePrecision::match(Iterator found, Iterator found_end, Iterator object, Iterator object_end,
                                     Range range, Index most, std::vector<Outcome>& out) {
    const auto outside = [&](double area) { return area < range.least || area > range.most; };
    // Objects that count come first: a detection takes one of the others only if it fits none of them.
    std::vector<const Item*> order;
    for (auto i = object; i != object_end; ++i)
        if (!i->crowd && !outside(i->area)) order.push_back(&*i);
    const auto counted = order.size();
    for (auto i = object; i != object_end; ++i)
        if (i->crowd || outside(i->area)) order.push_back(&*i);
    const auto first = Index(out.size()), count = std::min<Index>(most, found_end - found);
    std::vector<double> overlaps;
    for (Index d = 0; d < count; ++d) {
        out.push_back({found[d].score, {}, {}});
        for (const Item* i : order) overlaps.push_back(overlap(found[d], *i));
    }
    std::vector<bool> taken(order.size());
    for (int t = 0; t < thresholds; ++t) {
        std::fill(taken.begin(), taken.end(), false);
        for (Index d = 0; d < count; ++d) {
            const double* const row = overlaps.data() + std::size_t(d) * order.size();
            double best = std::min(threshold(t), 1 - 1e-10);
            std::size_t chosen = order.size();
            for (std::size_t g = 0; g < order.size(); ++g) {
                if (taken[g] && !order[g]->crowd) continue;
                if (g >= counted && chosen < counted) break;
                if (row[g] >= best) best = row[g], chosen = g;
            }
            Outcome& outcome = out[std::size_t(first + d)];
            outcome.right[t] = chosen < order.size();
            outcome.left_out[t] = chosen < order.size() ? chosen >= counted : outside(found[d].area);
            if (chosen < order.size()) taken[chosen] = true;
        }
    }
    return Index(counted);
}

/// Adds what one class contributes; both lists are sorted by image, detections by falling score within.
inline void AveragePrecision::add_class(const Items& found, const Items& objects, Range range, Index most,
                                        Totals& totals) {
    std::vector<Outcome> outcomes;
    Index to_find = 0;
    for (auto d = found.begin(), g = objects.begin(); d != found.end() || g != objects.end();) {
        const Index image = d == found.end() ? g->image : g == objects.end() ? d->image : std::min(d->image, g->image);
        const auto d_end = std::find_if(d, found.end(), [&](const Item& i) { return i.image != image; });
        const auto g_end = std::find_if(g, objects.end(), [&](const Item& i) { return i.image != image; });
        to_find += match(d, d_end, g, g_end, range, most, outcomes);
        d = d_end, g = g_end;
    }
    if (to_find == 0) return;
    // Equal scores stay in the order of images.
    std::vector<std::size_t> order(outcomes.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return outcomes[a].score != outcomes[b].score ? outcomes[a].score > outcomes[b].score : a < b;
    });
    ++totals.classes;
    for (int t = 0; t < thresholds; ++t) {
        std::vector<double> recall, precision;
        double right = 0, wrong = 0;
        for (const std::size_t i : order) {
            const Outcome& o = outcomes[i];
            right += o.right[t] && !o.left_out[t];
            wrong += !o.right[t] && !o.left_out[t];
            recall.push_back(right / double(to_find));
            precision.push_back(right / (right + wrong + 2.220446049250313e-16));
        }
        for (std::size_t i = precision.size(); i > 1; --i)
            precision[i - 2] = std::max(precision[i - 2], precision[i - 1]);
        double sum = 0;
        for (int r = 0; r < recalls; ++r) {
            const double least = r == recalls - 1 ? 1 : r * 0.01;
            const auto at = std::lower_bound(recall.begin(), recall.end(), least) - recall.begin();
            if (at < Index(recall.size())) sum += precision[std::size_t(at)];
        }
        totals.precision[t] += sum / recalls;
        totals.recall[t] += recall.empty() ? 0 : recall.back();
    }
}

inline PrecisionAndRecall AveragePrecision::compute() const {
    // By class, image and falling score; a score that is NaN comes last.
    std::vector<Items> found(static_cast<std::size_t>(classes_)), objects(found.size());
    std::vector<std::size_t> order(found_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const Item &x = found_[a], &y = found_[b];
        if (x.image != y.image) return x.image < y.image;
        const bool x_nan = x.score != x.score, y_nan = y.score != y.score;
        if (x_nan != y_nan) return y_nan;
        return !x_nan && x.score != y.score ? x.score > y.score : a < b;
    });
    for (const std::size_t i : order) {
        Item item = found_[i];
        if (item.score != item.score) item.score = -__builtin_inf();
        found[std::size_t(item.label)].push_back(item);
    }
    for (const Item& item : objects_) objects[std::size_t(item.label)].push_back(item);

    constexpr double small = 32 * 32, large = 96 * 96, all = 1e10;
    const auto totals_of = [&](Range range, Index most) {
        Totals totals;
        for (std::size_t c = 0; c < found.size(); ++c) add_class(found[c], objects[c], range, most, totals);
        return totals;
    };
    const auto whole = totals_of({0, all}, most_found), tiny = totals_of({0, small}, most_found),
               medium = totals_of({small, large}, most_found), big = totals_of({large, all}, most_found),
               one = totals_of({0, all}, 1), ten = totals_of({0, all}, 10);
    PrecisionAndRecall out;
    out.ap = whole.mean(whole.precision);
    out.ap50 = whole.mean(whole.precision, 0, 1);
    out.ap75 = whole.mean(whole.precision, 5, 6);
    out.ap_small = tiny.mean(tiny.precision);
    out.ap_medium = medium.mean(medium.precision);
    out.ap_large = big.mean(big.precision);
    out.ar1 = one.mean(one.recall);
    out.ar10 = ten.mean(ten.recall);
    out.ar100 = whole.mean(whole.recall);
    out.ar_small = tiny.mean(tiny.recall);
    out.ar_medium = medium.mean(medium.recall);
    out.ar_large = big.mean(big.recall);
    for (std::size_t c = 0; c < found.size(); ++c) {
        Totals totals;
        add_class(found[c], objects[c], {0, all}, most_found, totals);
        out.ap_by_class.push_back(totals.mean(totals.precision));
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
