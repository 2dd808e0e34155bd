#pragma once
// Counting and finding among sorted numbers: searchsorted, bucketize, histc, unique. Nothing here has a gradient.
#include <lamina/core/create.hpp>
#include <lamina/ops/contiguous.hpp>

#include <algorithm>
#include <cmath>

namespace lamina::inline LAMINA_ABI {

/// For each of `values` the first place in `sorted` [n], ascending, whose element is not less (`right`: is greater);
/// n where there is none (torch.searchsorted).
template <class T, int R>
    requires(std::is_arithmetic_v<T>)
Tensor<std::int64_t, R> searchsorted(const Tensor<T, 1>& sorted, const Tensor<T, R>& values, bool right = false) {
    const auto edges = contiguous(sorted.detach());
    const auto x = contiguous(values.detach());
    auto y = empty<std::int64_t>(x.shape());
    std::int64_t* out = y.mutable_data();
    const T *begin = edges.data(), *end = begin + edges.numel();
    for (Index i = 0; i < x.numel(); ++i) {
        const T v = x.data()[i];  // NaN is behind everything
        out[i] = (v != v ? end : right ? std::upper_bound(begin, end, v) : std::lower_bound(begin, end, v)) - begin;
    }
    return y;
}
/// The same with the arguments of torch.bucketize: the bucket between `boundaries` [n] that each of `x` falls into.
template <class T, int R>
    requires(std::is_arithmetic_v<T>)
Tensor<std::int64_t, R> bucketize(const Tensor<T, R>& x, const Tensor<T, 1>& boundaries, bool right = false) {
    return searchsorted(boundaries, x, right);
}

/// Options of histc.
struct HistogramOptions {
    Index bins = 100;
    double min = 0, max = 0;  ///< both equal: the smallest and largest element
};
/// How many elements of `x` lie in each of equal parts of [min, max], the last of which holds its end too [bins].
/// Others do not count. Throws ValueError for no bins or a range that is not one of numbers (torch.histc).
template <Real T, int R>
Tensor<T, 1> histc(const Tensor<T, R>& x, const HistogramOptions& o = {}) {
    const auto dense = contiguous(x.detach());
    const T *begin = dense.data(), *end = begin + dense.numel();
    double low = o.min, high = o.max;
    if (low == high && begin != end)
        low = double(*std::min_element(begin, end)), high = double(*std::max_element(begin, end));
    if (low == high) low -= 1, high += 1;
    require<ValueError>(o.bins > 0 && low < high && std::isfinite(low) && std::isfinite(high),
                        "histc: there must be bins and a range of numbers but there are ", o.bins, " bins from ", low,
                        " to ", high);
    auto counts = zeros<T>(Shape{o.bins});
    T* to = counts.mutable_data();
    for (const T* p = begin; p != end; ++p) {
        const double v = double(*p);
        if (v >= low && v <= high) to[std::min(Index((v - low) / (high - low) * double(o.bins)), o.bins - 1)] += 1;
    }
    return counts;
}

/// The different elements of `x`, ascending [n]; NaN counts as different from all and comes last (torch.unique).
template <class T, int R>
    requires(std::is_arithmetic_v<T>)
Tensor<T, 1> unique(const Tensor<T, R>& x) {
    const auto dense = contiguous(x.detach());
    auto found = dense.clone();
    T *begin = found.mutable_data(), *end = begin + found.numel();
    T* const numbers = std::partition(begin, end, [](T v) { return v == v; });
    std::sort(begin, numbers);
    T* const last = std::copy(numbers, end, std::unique(begin, numbers));
    return from_span<T>(Shape{Index(last - begin)}, std::span<const T>(begin, last));
}

}  // namespace lamina::inline LAMINA_ABI
