#pragma once
// Average precision of detectors as the PASCAL VOC benchmark defines it (M. Everingham et al., IJCV 88, 2010; the rules
// are those of its development kit).
#include <lamina/vision/average_precision.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// The rules of one year.
struct VocPrecisionOptions {
    double iou = 0.5;            ///< a detection is right from this overlap on
    bool eleven_points = false;  ///< mean precision at recalls 0, 0.1 … 1 (to 2007), else the area under the envelope
    bool legacy_plus_one = false;  ///< coordinates name whole pixels: a side is x2 - x1 + 1, as in the development kit
};

/// Gathers detections image after image, as AveragePrecision does; objects marked as crowd are VOC's difficult ones,
/// neither found nor missed. A detection belongs to the object that it overlaps most, and is wrong if that has been
/// found already.
class VocPrecision {
public:
    /// Throws ValueError for fewer than one class.
    explicit VocPrecision(Index classes, const VocPrecisionOptions& options = {}) : options_(options) {
        require<ValueError>(classes > 0, "VocPrecision: number of classes must be positive but is ", classes);
        classes_.resize(std::size_t(classes));
    }

    /// Takes the detections and the objects of the next image. Throws ShapeError, and ValueError for a class that does
    /// not exist.
    template <Real T>
    void add(const Detections<T>& found, const Objects<T>& objects) {
        check("detections", found.boxes, found.classes);
        check("objects", objects.boxes, objects.classes);
        const Index n = found.boxes.dim(0), m = objects.boxes.dim(0);
        require(found.scores.dim(0) == n, "VocPrecision: there must be one score for each box (", found.scores.shape(),
                " and ", found.boxes.shape(), ")");
        require(objects.crowd.empty() || Index(objects.crowd.size()) == m, "VocPrecision: crowd must have ", m,
                " entries or none but has ", objects.crowd.size());
        const auto difficult = [&](Index g) { return !objects.crowd.empty() && objects.crowd[std::size_t(g)]; };
        for (Index g = 0; g < m; ++g) class_of(objects.classes, g).objects += !difficult(g);
        // Best first, equal scores in the order given; a score that is NaN comes last.
        std::vector<Index> order(static_cast<std::size_t>(n));
        kernels::score_order(n, detail::dense(found.scores).data(), order.data());
        std::vector<bool> taken(static_cast<std::size_t>(m));
        for (const Index d : order) {
            Index best = -1;
            double most = 0;
            for (Index g = 0; g < m; ++g) {
                const double o = objects.classes(g) == found.classes(d) ? overlap(found.boxes, d, objects.boxes, g) : 0;
                if (o > most) most = o, best = g;
            }
            const bool hit = best >= 0 && most >= options_.iou;
            if (hit && difficult(best)) continue;
            const double score = double(found.scores(d));
            class_of(found.classes, d)
                .found.push_back({score == score ? score : -__builtin_inf(), hit && !taken[std::size_t(best)]});
            if (hit) taken[std::size_t(best)] = true;
        }
    }

    /// Average precision of each class in [0, 1]; -1 for a class without objects.
    std::vector<double> by_class() const {
        std::vector<double> out;
        for (const Class& c : classes_) out.push_back(c.objects > 0 ? precision(c) : -1);
        return out;
    }
    /// Mean over the classes that have objects (mAP); -1 without any.
    double mean() const {
        double sum = 0;
        Index count = 0;
        for (const double p : by_class())
            if (p >= 0) sum += p, ++count;
        return count ? sum / double(count) : -1;
    }

private:
    struct Found {
        double score;
        bool right;
    };
    struct Class {
        Index objects = 0;
        std::vector<Found> found;
    };

    template <class T>
    void check(const char* what, const Tensor<T, 2>& boxes, const Tensor<std::int64_t, 1>& labels) const {
        detail::require_columns("VocPrecision", what, boxes, 4);
        require(labels.dim(0) == boxes.dim(0), "VocPrecision: there must be one class for each box (", labels.shape(),
                " and ", boxes.shape(), ")");
        for (Index i = 0; i < labels.dim(0); ++i)
            require<ValueError>(labels(i) >= 0 && labels(i) < Index(classes_.size()),
                                "VocPrecision: class must lie in [0, ", classes_.size(), ") but is ", labels(i));
    }
    Class& class_of(const Tensor<std::int64_t, 1>& labels, Index i) { return classes_[std::size_t(labels(i))]; }
    template <class T>
    double overlap(const Tensor<T, 2>& found, Index d, const Tensor<T, 2>& objects, Index g) const {
        const double more = options_.legacy_plus_one ? 1 : 0;
        const auto area = [&](const Tensor<T, 2>& b, Index i) {
            return (double(b(i, 2)) - double(b(i, 0)) + more) * (double(b(i, 3)) - double(b(i, 1)) + more);
        };
        const double w = double(std::min(found(d, 2), objects(g, 2))) - double(std::max(found(d, 0), objects(g, 0)));
        const double h = double(std::min(found(d, 3), objects(g, 3))) - double(std::max(found(d, 1), objects(g, 1)));
        if (!(w + more > 0 && h + more > 0)) return 0;
        const double both = (w + more) * (h + more);
        return both / (area(found, d) + area(objects, g) - both);
    }
    double precision(const Class& c) const;

    VocPrecisionOptions options_;
    std::vector<Class> classes_;
};

inline double VocPrecision::precision(const Class& c) const {
    std::vector<std::size_t> order(c.found.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return c.found[a].score != c.found[b].score ? c.found[a].score > c.found[b].score : a < b;
    });
    std::vector<double> recall, envelope;
    Index right = 0;
    for (const std::size_t i : order) {
        right += c.found[i].right;
        recall.push_back(double(right) / double(c.objects));
        envelope.push_back(double(right) / double(recall.size()));
    }
    for (std::size_t i = envelope.size(); i > 1; --i) envelope[i - 2] = std::max(envelope[i - 2], envelope[i - 1]);
    double sum = 0;
    if (options_.eleven_points) {
        for (int tenth = 0; tenth <= 10; ++tenth) {
            const auto at = std::lower_bound(recall.begin(), recall.end(), tenth / 10.0) - recall.begin();
            if (at < Index(recall.size())) sum += envelope[std::size_t(at)] / 11;
        }
        return sum;
    }
    for (std::size_t i = 0; i < recall.size(); ++i) sum += (recall[i] - (i ? recall[i - 1] : 0)) * envelope[i];
    return sum;
}

}  // namespace lamina::inline LAMINA_ABI::vision
