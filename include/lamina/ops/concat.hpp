#pragma once
// Tensors joined along a dimension: cat along one they have, stack along a new one.
#include <lamina/autograd/tape.hpp>
#include <lamina/ops/reshape.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI {

/// Tensors of equal shape but for dimension `dim`, one behind the other along it, as in `cat({a, b}, 1)`.
/// Throws ShapeError, and ValueError for no tensors.
template <Element T, int R>
    requires(R > 0)
Tensor<T, R> cat(std::span<const Tensor<T, R>> parts, Index dim = 0) {
    const int d = normalize_dim("cat", dim, R);
    require<ValueError>(!parts.empty(), "cat: there must be at least one tensor but there are 0");
    Shape<R> shape = parts[0].shape();
    shape[d] = 0;
    for (const auto& part : parts) {
        for (int k = 0; k < R; ++k)
            require(k == d || part.shape()[k] == shape[k], "cat: shapes must be equal but for dimension ", d, " (",
                    parts[0].shape(), " and ", part.shape(), ")");
        shape[d] += part.shape()[d];
    }
    auto y = empty<T>(shape);
    const auto steps = contiguous_strides(shape);
    const Index step = steps[std::size_t(d)];
    T* out = y.mutable_data();
    for (const auto& part : parts) {
        auto layout = kernels::from_dense(part.shape(), steps);
        for (int k = 0; k < R; ++k) layout.from[k] = part.strides()[std::size_t(k)];
        kernels::copy(layout, part.data(), out);
        out += part.shape()[d] * step;
    }
    if constexpr (Real<T>) {
        autograd::Tape* tape = nullptr;
        for (const auto& part : parts)
            if (auto* found = autograd::recording(part)) tape = found;
        if (tape) {
            struct Part {
                GradLink link;
                Shape<R> shape;
            };
            std::vector<Part> places;
            for (const auto& part : parts) places.push_back({part.grad_link(), part.shape()});
            tape->record("cat", y, [places = std::move(places), steps, step, d](const T* dy) {
                for (const auto& place : places) {
                    if (const auto dx = autograd::grad_target<T>(place.link)) {
                        const auto layout = kernels::to_dense(place.shape, steps);
                        if (dx.accumulate) kernels::copy<kernels::Write::add>(layout, dy, dx.data);
                        else kernels::copy(layout, dy, dx.data);
                    }
                    dy += place.shape[d] * step;
                }
            });
        }
    }
    return y;
}
template <Element T, int R>
Tensor<T, R> cat(const std::vector<Tensor<T, R>>& parts, Index dim = 0) {
    return cat(std::span<const Tensor<T, R>>(parts), dim);
}
template <Element T, int R>
Tensor<T, R> cat(std::initializer_list<Tensor<T, R>> parts, Index dim = 0) {
    return cat(std::span<const Tensor<T, R>>(parts.begin(), parts.size()), dim);
}

/// Tensors of equal shape along a new dimension inserted before `dim` (-1: at the end). Throws ShapeError, and
/// ValueError for no tensors.
template <Element T, int R>
Tensor<T, R + 1> stack(std::span<const Tensor<T, R>> parts, Index dim = 0) {
    const int d = normalize_dim("stack", dim, R + 1);
    require<ValueError>(!parts.empty(), "stack: there must be at least one tensor but there are 0");
    std::vector<Tensor<T, R + 1>> rows;
    for (const auto& part : parts) {
        require(part.shape() == parts[0].shape(), "stack: shapes must be equal (", parts[0].shape(), " and ",
                part.shape(), ")");
        rows.push_back(unsqueeze(part, d));
    }
    return cat(rows, d);
}
template <Element T, int R>
Tensor<T, R + 1> stack(const std::vector<Tensor<T, R>>& parts, Index dim = 0) {
    return stack(std::span<const Tensor<T, R>>(parts), dim);
}
template <Element T, int R>
Tensor<T, R + 1> stack(std::initializer_list<Tensor<T, R>> parts, Index dim = 0) {
    return stack(std::span<const Tensor<T, R>>(parts.begin(), parts.size()), dim);
}

}  // namespace lamina::inline LAMINA_ABI
