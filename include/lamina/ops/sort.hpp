#pragma once
// Order along a dimension: sort, argsort, topk. Equal elements keep the order of their indices; NaN counts as largest.
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/kernels/sort.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/values_indices.hpp>

namespace lamina::inline LAMINA_ABI {

struct SortOptions {
    bool descending = false;
};
struct TopkOptions {
    bool largest = true;
};

namespace detail {

template <int R>
kernels::ReduceGeometry sort_geometry(const Shape<R>& shape, int d) {
    if constexpr (R == 0) return {1, 1, 1};
    else return {shape.product(0, d), shape[d], shape.product(d + 1, R)};
}

/// dx[o, indices[o, c, i], i] += dy[o, c, i] for `count` values a line.
template <class T>
struct PickBackward {
    kernels::ReduceGeometry g;
    Index count;
    GradLink link;
    autograd::Saved<std::int64_t, 1> indices;
    void operator()(const T* dy) const {
        T* dx = autograd::grad_ptr<T>(link);
        if (!dx) return;
        const Index* index = indices.data();
        parallel::for_range(g.outer, parallel::grain_for(count * g.inner), [&](Index begin, Index end) {
            for (Index row = begin * count; row < end * count; ++row)
                for (Index i = 0; i < g.inner; ++i)
                    dx[(row / count * g.count + index[row * g.inner + i]) * g.inner + i] += dy[row * g.inner + i];
        });
    }
};

template <class T, int R>
void record_pick(const char* op, const Tensor<T, R>& x, const kernels::ReduceGeometry& g, Index count,
                 ValuesIndices<T, R>& out) {
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x)) {
            const Tensor<std::int64_t, 1> flat(out.indices.storage(), const_cast<std::int64_t*>(out.indices.data()),
                                               Shape{out.indices.numel()}, {1});
            tape->record(op, out.values, PickBackward<T>{g, count, x.grad_link(), autograd::saved(flat)});
        }
    }
}

}  // namespace detail

/// `x` sorted along `dim`, with the index of each element; stable. Throws ValueError for a dimension out of range.
template <Element T, int R>
    requires(std::is_arithmetic_v<T>)
ValuesIndices<T, R> sort(const Tensor<T, R>& x, Index dim = -1, const SortOptions& o = {}) {
    const auto g = detail::sort_geometry(x.shape(), normalize_dim("sort", dim, R));
    ValuesIndices<T, R> out{empty<T>(x.shape()), empty<std::int64_t>(x.shape())};
    kernels::sort_lines(g, contiguous(x).data(), o.descending, out.values.mutable_data(), out.indices.mutable_data());
    detail::record_pick("sort", x, g, g.count, out);
    return out;
}

/// Indices that sort `x` along `dim`; stable. Throws ValueError for a dimension out of range.
template <Element T, int R>
    requires(std::is_arithmetic_v<T>)
Tensor<std::int64_t, R> argsort(const Tensor<T, R>& x, Index dim = -1, const SortOptions& o = {}) {
    const auto g = detail::sort_geometry(x.shape(), normalize_dim("argsort", dim, R));
    auto y = empty<std::int64_t>(x.shape());
    kernels::sort_lines(g, contiguous(x).data(), o.descending, static_cast<T*>(nullptr), y.mutable_data());
    return y;
}

/// The `k` largest (or smallest) elements along `dim`, in that order, with their indices. Throws ValueError when there
/// are fewer than k.
template <Element T, int R>
    requires(std::is_arithmetic_v<T>&& R > 0)
ValuesIndices<T, R> topk(const Tensor<T, R>& x, Index k, Index dim = -1, const TopkOptions& o = {}) {
    const int d = normalize_dim("topk", dim, R);
    const auto g = detail::sort_geometry(x.shape(), d);
    require<ValueError>(k >= 0 && k <= g.count, "topk: k must lie in [0, ", g.count, "] but is ", k, " (shape ",
                        x.shape(), ", dimension ", d, ")");
    Shape<R> shape = x.shape();
    shape[d] = k;
    ValuesIndices<T, R> out{empty<T>(shape), empty<std::int64_t>(shape)};
    kernels::topk_lines(g, contiguous(x).data(), k, o.largest, out.values.mutable_data(), out.indices.mutable_data());
    detail::record_pick("topk", x, g, k, out);
    return out;
}

}  // namespace lamina::inline LAMINA_ABI
