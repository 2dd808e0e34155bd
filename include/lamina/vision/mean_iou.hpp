#pragma once
// Mean intersection over union of label maps, the measure of semantic segmentation.
#include <lamina/core/create.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::vision {

/// Counts labels image after image; a class's IoU is that of all images together.
class MeanIou {
public:
    /// Labels lie in [0, classes); places whose true label is `ignored` do not count.
    explicit MeanIou(Index classes, std::int64_t ignored = 255)
        : classes_(classes),
          ignored_(ignored),
          both_(counts(classes)),
          predicted_(counts(classes)),
          target_(counts(classes)) {}

    /// Takes label maps of one shape. Throws ShapeError, and ValueError for a class that does not exist.
    template <int R>
    void add(const Tensor<std::int64_t, R>& predicted, const Tensor<std::int64_t, R>& target) {
        require(predicted.shape() == target.shape(), "MeanIou: both maps must have one shape (", predicted.shape(),
                " and ", target.shape(), ")");
        const auto p = predicted.is_contiguous() ? predicted : predicted.clone();
        const auto t = target.is_contiguous() ? target : target.clone();
        for (Index i = 0; i < p.numel(); ++i) {
            const std::int64_t is = t.data()[i], said = p.data()[i];
            if (is == ignored_) continue;
            require<ValueError>(is >= 0 && is < classes_ && said >= 0 && said < classes_,
                                "MeanIou: class must lie in [0, ", classes_, ") (predicted ", said, ", true ", is, ")");
            both_[std::size_t(is)] += is == said;
            ++predicted_[std::size_t(said)];
            ++target_[std::size_t(is)];
        }
    }

    /// IoU of each class; -1 for one that was neither there nor predicted.
    std::vector<double> by_class() const {
        std::vector<double> out;
        for (std::size_t c = 0; c < both_.size(); ++c) {
            const Index either = predicted_[c] + target_[c] - both_[c];
            out.push_back(either > 0 ? double(both_[c]) / double(either) : -1);
        }
        return out;
    }
    /// Mean over the classes that were there or predicted; -1 without any.
    double mean() const {
        double sum = 0;
        Index count = 0;
        for (const double iou : by_class())
            if (iou >= 0) sum += iou, ++count;
        return count ? sum / double(count) : -1;
    }
    /// Part of the places that have the right label; -1 without any.
    double pixel_accuracy() const {
        Index right = 0, all = 0;
        for (std::size_t c = 0; c < both_.size(); ++c) right += both_[c], all += target_[c];
        return all ? double(right) / double(all) : -1;
    }

private:
    static std::vector<Index> counts(Index classes) {
        require<ValueError>(classes > 0, "MeanIou: number of classes must be positive but is ", classes);
        return std::vector<Index>(static_cast<std::size_t>(classes));
    }
    Index classes_;
    std::int64_t ignored_;
    std::vector<Index> both_, predicted_, target_;
};

}  // namespace lamina::inline LAMINA_ABI::vision
