#pragma once
// Elements by condition: masked_fill, masked_select, nonzero.
#include <lamina/autograd/tape.hpp>
#include <lamina/core/view.hpp>
#include <lamina/ops/contiguous.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI {

namespace detail {

/// The mask stretched to `shape`, dense. Throws ShapeError.
template <int R, int M>
Tensor<bool, R> full_mask(const char* op, const Shape<R>& shape, const Tensor<bool, M>& mask) {
    static_assert(M <= R, "the mask has at most the dimensions of the input");
    require(broadcast_shape(op, shape, mask.shape()) == shape, op, ": mask must broadcast to the input (mask ",
            mask.shape(), ", input ", shape, ")");
    return contiguous(view::expand(mask, shape));
}
/// Places of the true elements.
template <int R>
std::vector<Index> true_places(const Tensor<bool, R>& mask) {
    std::vector<Index> places;
    for (Index i = 0; i < mask.numel(); ++i)
        if (mask.data()[i]) places.push_back(i);
    return places;
}

}  // namespace detail

/// `x` with `value` where `mask`, which broadcasts to `x`, is true; no gradient flows there. Throws ShapeError.
template <Element T, int R, int M>
Tensor<T, R> masked_fill(const Tensor<T, R>& x, const Tensor<bool, M>& mask, std::type_identity_t<T> value) {
    const auto hidden = detail::full_mask("masked_fill", x.shape(), mask);
    const auto dense = contiguous(x);
    auto y = empty<T>(x.shape());
    const Index n = x.numel();
    const auto each = [n](auto&& f) {
        parallel::for_range(n, parallel::grain_for(2), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) f(i);
        });
    };
    const T* in = dense.data();
    T* out = y.mutable_data();
    const bool* hide = hidden.data();
    each([=](Index i) { out[i] = hide[i] ? value : in[i]; });
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("masked_fill", y, [link = x.grad_link(), hidden, each](const T* dy) {
                const auto dx = autograd::grad_target<T>(link);
                const bool* hide = hidden.data();
                if (dx)
                    each([=](Index i) { dx.data[i] = (dx.accumulate ? dx.data[i] : T(0)) + (hide[i] ? T(0) : dy[i]); });
            });
    }
    return y;
}

/// The elements of `x` where `mask`, which broadcasts to `x`, is true, in row-major order [n]. Throws ShapeError.
template <Element T, int R, int M>
Tensor<T, 1> masked_select(const Tensor<T, R>& x, const Tensor<bool, M>& mask) {
    auto places = detail::true_places(detail::full_mask("masked_select", x.shape(), mask));
    const auto dense = contiguous(x);
    auto y = empty<T>(Shape{Index(places.size())});
    T* out = y.mutable_data();
    for (std::size_t i = 0; i < places.size(); ++i) out[i] = dense.data()[places[i]];
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("masked_select", y, [link = x.grad_link(), places = std::move(places)](const T* dy) {
                if (T* dx = autograd::grad_ptr<T>(link))
                    for (std::size_t i = 0; i < places.size(); ++i) dx[places[i]] += dy[i];
            });
    }
    return y;
}

/// Indices of the elements that are not 0, in row-major order [n, R].
template <Element T, int R>
Tensor<std::int64_t, 2> nonzero(const Tensor<T, R>& x) {
    const auto dense = contiguous(x.detach());
    std::vector<Index> places;
    for (Index i = 0; i < x.numel(); ++i)
        if (dense.data()[i] != T(0)) places.push_back(i);
    auto y = empty<std::int64_t>(Shape{Index(places.size()), Index(R)});
    std::int64_t* out = y.mutable_data();
    for (std::size_t i = 0; i < places.size(); ++i) {
        Index rest = places[i];
        for (int d = R - 1; d >= 0; --d) {
            out[i * std::size_t(R) + std::size_t(d)] = rest % x.shape()[d];
            rest /= x.shape()[d];
        }
    }
    return y;
}

}  // namespace lamina::inline LAMINA_ABI
