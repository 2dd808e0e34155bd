#pragma once
// Elements reversed or rotated along dimensions. Both are permutations of elements: the gradient goes the way back.
#include <lamina/autograd/tape.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/permute.hpp>

namespace lamina::inline LAMINA_ABI {

/// Reversed along each of `dims`, as in `flip(x, {0, -1})`; a copy. Throws ValueError for a dimension out of range.
template <Element T, int R>
Tensor<T, R> flip(const Tensor<T, R>& x, std::initializer_list<Index> dims) {
    unsigned mask = 0;
    for (Index dim : dims) mask |= 1u << normalize_dim("flip", dim, R);
    const auto reversed = [mask](const Shape<R>& shape, const Strides<R>& strides, Index& offset) {
        auto layout = kernels::to_dense(shape, strides);
        for (int d = 0; d < R; ++d)
            if (mask >> d & 1u) {
                offset += (shape[d] - 1) * strides[std::size_t(d)];
                layout.from[d] = -strides[std::size_t(d)];
            }
        return layout;
    };
    auto y = empty<T>(x.shape());
    Index offset = 0;
    const auto layout = reversed(x.shape(), x.strides(), offset);
    if (x.numel()) kernels::copy(layout, x.data() + offset, y.mutable_data());
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("flip", y, [link = x.grad_link(), shape = x.shape(), reversed](const T* dy) {
                const auto dx = autograd::grad_target<T>(link);
                if (!dx || shape.numel() == 0) return;
                Index from = 0;
                const auto back = reversed(shape, contiguous_strides(shape), from);
                if (dx.accumulate) kernels::copy<kernels::Write::add>(back, dy + from, dx.data);
                else kernels::copy(back, dy + from, dx.data);
            });
    }
    return y;
}

namespace detail {

/// to (+)= from [outer, n, inner] with every position along n moved on by `shift` in [0, n), around the end.
template <class T>
void roll_into(Index outer, Index n, Index inner, Index shift, const T* from, T* to, bool accumulate) {
    const auto part = [&](Index at, Index count) {  // positions `at` to at + count move as one
        kernels::CopyLayout layout;
        layout.push(outer, n * inner, n * inner);
        layout.push(count * inner, 1, 1);
        const T* source = from + at * inner;
        T* target = to + (at + shift) % n * inner;
        if constexpr (Real<T>) {
            if (accumulate) return kernels::copy<kernels::Write::add>(layout, source, target);
        }
        kernels::copy(layout, source, target);
    };
    if (n == 0) return;
    part(0, n - shift);
    part(n - shift, shift);
}

}  // namespace detail

/// Elements moved on by `shift` positions along `dim`; those that leave at the end return at the front. Throws
/// ValueError for a dimension out of range.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> roll(const Tensor<T, R>& x, Index shift, Index dim) {
    const int d = normalize_dim("roll", dim, R);
    auto y = empty<T>(x.shape());
    const Index outer = x.shape().product(0, d), n = x.shape()[d], inner = x.shape().product(d + 1, R);
    const Index on = n > 0 ? (shift % n + n) % n : 0;
    detail::roll_into(outer, n, inner, on, contiguous(x).data(), y.mutable_data(), false);
    if constexpr (Real<T>) {
        if (auto* tape = autograd::recording(x))
            tape->record("roll", y, [link = x.grad_link(), outer, n, inner, on](const T* dy) {
                if (const auto dx = autograd::grad_target<T>(link))
                    detail::roll_into(outer, n, inner, on > 0 ? n - on : 0, dy, dx.data, dx.accumulate);
            });
    }
    return y;
}

/// Turned by `times` quarter turns from dimension `from` towards `to`; negative ones turn back. Throws ValueError when
/// the two dimensions are one (torch.rot90).
template <Element T, int R>
    requires(R >= 2)
Tensor<T, R> rot90(const Tensor<T, R>& x, Index times = 1, Index from = 0, Index to = 1) {
    const Index a = normalize_dim("rot90", from, R), b = normalize_dim("rot90", to, R);
    require<ValueError>(a != b, "rot90: the two dimensions must differ but both are ", a);
    switch ((times % 4 + 4) % 4) {
        case 0: return contiguous(x);
        case 1: return transpose(flip(x, {b}), a, b);
        case 2: return flip(x, {a, b});
        default: return transpose(flip(x, {a}), a, b);
    }
}

}  // namespace lamina::inline LAMINA_ABI
