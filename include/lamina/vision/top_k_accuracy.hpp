#pragma once
// Top-k accuracy of classifiers.
#include <lamina/core/create.hpp>

namespace lamina::inline LAMINA_ABI::vision {

/// Part of the rows of scores [N, C] whose label [N] is among the k highest; equal scores rank by index, NaN below all.
/// NaN for no rows. Throws ShapeError, and ValueError for a label outside [0, C) or k < 1.
template <Real T>
double top_k_accuracy(const Tensor<T, 2>& scores, const Tensor<std::int64_t, 1>& labels, Index k = 1) {
    const Index n = scores.dim(0), classes = scores.dim(1);
    require(labels.dim(0) == n, "top_k_accuracy: there must be one label for each row (", labels.shape(), " and ",
            scores.shape(), ")");
    require<ValueError>(k >= 1, "top_k_accuracy: k must be positive but is ", k);
    const auto s = scores.is_contiguous() ? scores : scores.clone();
    Index right = 0;
    for (Index i = 0; i < n; ++i) {
        const Index label = labels(i);
        require<ValueError>(label >= 0 && label < classes, "top_k_accuracy: label must lie in [0, ", classes,
                            ") but is ", label, " in row ", i);
        const T* const row = s.data() + i * classes;
        const T own = row[label];
        Index before = 0;
        if (own == own)
            for (Index c = 0; c < classes; ++c) before += row[c] > own || (c < label && row[c] == own);
        right += own == own && before < k;
    }
    return double(right) / double(n);
}

}  // namespace lamina::inline LAMINA_ABI::vision
