#pragma once
// Order statistics: median, k-th smallest element, quantiles, largest and smallest elements so far. All pick elements,
// to which their gradients go.
#include <lamina/core/view.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/comparison.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/index.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/ops/slice.hpp>
#include <lamina/ops/sort.hpp>
#include <lamina/ops/unary.hpp>

namespace lamina::inline LAMINA_ABI {

/// The `k`-th smallest elements along `dim`, counted from 1, with their indices; NaN counts as largest. Throws
/// ValueError for k outside [1, extent] (torch.kthvalue).
template <Real T, int R>
    requires(R > 0)
ValuesIndices<T, R - 1> kthvalue(const Tensor<T, R>& x, Index k, Index dim = -1) {
    const int d = normalize_dim("kthvalue", dim, R);
    require<ValueError>(k >= 1 && k <= x.shape()[d], "kthvalue: k must lie in [1, ", x.shape()[d], "] but is ", k,
                        " (shape ", x.shape(), ", dimension ", d, ")");
    const auto sorted = sort(x, d);
    return {select(sorted.values, d, k - 1), select(sorted.indices, d, k - 1)};
}

/// The middle elements along `dim`, of an even number the lower ones, with their indices; NaN where one is. Throws
/// ShapeError for no elements (torch.median).
template <Real T, int R>
    requires(R > 0)
ValuesIndices<T, R - 1> median(const Tensor<T, R>& x, Index dim) {
    const int d = normalize_dim("median", dim, R);
    const Index n = x.shape()[d];
    require(n > 0, "median: dimension ", d, " must not be empty (shape ", x.shape(), ")");
    const auto sorted = sort(x, d);
    const auto spoilt = isnan(view::slice(sorted.values.detach(), d, n - 1, n));
    auto at = empty<std::int64_t>(spoilt.shape());
    for (Index i = 0; i < at.numel(); ++i) at.mutable_data()[i] = spoilt.data()[i] ? n - 1 : (n - 1) / 2;
    return {squeeze(gather(sorted.values, d, at), d), squeeze(gather(sorted.indices, d, at), d)};
}
/// The middle element of all, as [].
template <Real T, int R>
Tensor<T, 0> median(const Tensor<T, R>& x) {
    return median(reshape(x, Shape{x.numel()}), 0).values;
}

/// What a fraction `q` of the elements along `dim` does not exceed, between two elements in proportion; NaN where one
/// is. Throws ValueError for q outside [0, 1], ShapeError for no elements (torch.quantile).
template <Real T, int R>
    requires(R > 0)
Tensor<T, R - 1> quantile(const Tensor<T, R>& x, double q, Index dim) {
    const int d = normalize_dim("quantile", dim, R);
    const Index n = x.shape()[d];
    require<ValueError>(q >= 0 && q <= 1, "quantile: q must lie in [0, 1] but is ", q);
    require(n > 0, "quantile: dimension ", d, " must not be empty (shape ", x.shape(), ")");
    const double place = q * double(n - 1);
    const Index below = Index(place), above = below + 1 < n ? below + 1 : below;
    const auto sorted = sort(x, d).values;
    const auto low = select(sorted, d, below), high = select(sorted, d, above), last = select(sorted, d, n - 1);
    return where(isnan(last), last, lerp(low, high, T(place - double(below))));
}
/// The quantile of all elements, as [].
template <Real T, int R>
Tensor<T, 0> quantile(const Tensor<T, R>& x, double q) {
    return quantile(reshape(x, Shape{x.numel()}), q, 0);
}

namespace detail {

template <Real T, int R, class Wins>
ValuesIndices<T, R> running_extremum(const char* op, const Tensor<T, R>& x, Index dim, const Wins& wins) {
    const auto g = sort_geometry(x.shape(), normalize_dim(op, dim, R));
    const auto dense = contiguous(x);
    ValuesIndices<T, R> y{empty<T>(x.shape()), empty<std::int64_t>(x.shape())};
    const T* in = dense.data();
    T* value = y.values.mutable_data();
    std::int64_t* index = y.indices.mutable_data();
    for (Index i = 0; i < x.numel(); ++i) {
        const Index at = i / g.inner % g.count;
        const bool first = at == 0;
        const T held = first ? in[i] : value[i - g.inner];
        const bool takes = first || in[i] != in[i] || (held == held && wins(in[i], held));
        value[i] = takes ? in[i] : held;
        index[i] = takes ? at : index[i - g.inner];
    }
    record_pick(op, x, g, g.count, y);
    return y;
}

}  // namespace detail

/// The largest elements up to each along `dim`, with the last index of each; NaN wins and stays (torch.cummax).
template <Real T, int R>
ValuesIndices<T, R> cummax(const Tensor<T, R>& x, Index dim) {
    return detail::running_extremum("cummax", x, dim, [](T a, T b) { return a >= b; });
}
/// The smallest elements up to each along `dim`, likewise (torch.cummin).
template <Real T, int R>
ValuesIndices<T, R> cummin(const Tensor<T, R>& x, Index dim) {
    return detail::running_extremum("cummin", x, dim, [](T a, T b) { return a <= b; });
}

}  // namespace lamina::inline LAMINA_ABI
