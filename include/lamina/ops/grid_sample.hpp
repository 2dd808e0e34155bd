#pragma once
// Images sampled at the points of a grid, and grids from affine maps: spatial transformers. (Jaderberg et al. 2015)
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/tape.hpp>
#include <lamina/core/size2.hpp>
#include <lamina/kernels/grid_sample.hpp>
#include <lamina/ops/contiguous.hpp>

namespace lamina::inline LAMINA_ABI {

using kernels::GridSampleMode;
using kernels::GridSamplePadding;

struct GridSampleOptions {
    GridSampleMode mode = GridSampleMode::bilinear;
    GridSamplePadding padding = GridSamplePadding::zeros;
    bool align_corners = false;  ///< -1 and 1 are the centres of the outermost pixels, not their outer edges
};

/// `x` [N, C, H, W] at the points of `grid` [N, h, w, 2], whose last dimension is (x, y) from -1, left or top, to 1:
/// [N, C, h, w]. Points that are not finite lie outside. Gradients reach both; nearest gives the grid zeros. Throws
/// ShapeError (torch.nn.functional.grid_sample).
template <Real T>
Tensor<T, 4> grid_sample(const Tensor<T, 4>& x, const Tensor<T, 4>& grid, const GridSampleOptions& o = {}) {
    const auto &s = x.shape(), &points = grid.shape();
    require(s[0] == points[0] && points[3] == 2,
            "grid_sample: grid must be [N, h, w, 2] for as many images as the input has (input ", s, ", grid ", points,
            ")");
    require(s.product(1, 4) > 0 && s[2] * s[3] < (Index(1) << 31),
            "grid_sample: input must have channels and less than 2^31 pixels but has shape ", s);
    const kernels::GridSampleGeometry g{s[0],      s[1],   s[2],      s[3],           points[1],
                                        points[2], o.mode, o.padding, o.align_corners};
    const auto input = contiguous(x), at = contiguous(grid);
    auto y = empty<T>(Shape{s[0], s[1], points[1], points[2]});
    kernels::grid_sample_forward(g, input.data(), at.data(), y.mutable_data());
    if (auto* tape = autograd::recording(x, grid))
        tape->record("grid_sample", y, [g, x = autograd::saved(input), grid = autograd::saved(at)](const T* dy) {
            if (const auto dx = autograd::grad_target(x))
                kernels::grid_sample_grad_input(g, grid.data(), dy, dx.data, dx.accumulate);
            if (const auto dgrid = autograd::grad_target(grid))
                kernels::grid_sample_grad_grid(g, x.data(), grid.data(), dy, dgrid.data, dgrid.accumulate);
        });
    return y;
}

namespace detail {

/// Centre of pixel i of n from -1 to 1.
constexpr double grid_coordinate(Index i, Index n, bool align_corners) {
    if (align_corners) return n > 1 ? 2 * double(i) / double(n - 1) - 1 : 0;
    return (2 * double(i) + 1) / double(n) - 1;
}

}  // namespace detail

/// The grid [N, h, w, 2] that `theta` [N, 2, 3] maps the pixels of an image of `size` to: (x', y') = theta (x, y, 1).
/// Throws ShapeError (torch.nn.functional.affine_grid).
template <Real T>
Tensor<T, 4> affine_grid(const Tensor<T, 3>& theta, Size2 size, bool align_corners = false) {
    require(theta.dim(1) == 2 && theta.dim(2) == 3, "affine_grid: theta must have shape [N, 2, 3] but has ",
            theta.shape());
    require(size.h > 0 && size.w > 0, "affine_grid: size must not be empty but is ", size);
    const auto maps = contiguous(theta);
    const Index images = theta.dim(0);
    auto grid = empty<T>(Shape{images, size.h, size.w, 2});
    T* to = grid.mutable_data();
    for (Index n = 0; n < images; ++n)
        for (Index i = 0; i < size.h; ++i)
            for (Index j = 0; j < size.w; ++j)
                for (Index axis = 0; axis < 2; ++axis) {
                    const T* m = maps.data() + (n * 2 + axis) * 3;
                    *to++ = T(double(m[0]) * detail::grid_coordinate(j, size.w, align_corners) +
                              double(m[1]) * detail::grid_coordinate(i, size.h, align_corners) + double(m[2]));
                }
    if (auto* tape = autograd::recording(theta))
        tape->record("affine_grid", grid, [images, size, align_corners, theta = theta.grad_link()](const T* dy) {
            T* const grad = autograd::grad_ptr<T>(theta);
            for (Index n = 0; grad && n < images; ++n) {
                double sums[2][3] = {};
                for (Index i = 0; i < size.h; ++i)
                    for (Index j = 0; j < size.w; ++j)
                        for (Index axis = 0; axis < 2; ++axis, ++dy) {
                            sums[axis][0] += double(*dy) * detail::grid_coordinate(j, size.w, align_corners);
                            sums[axis][1] += double(*dy) * detail::grid_coordinate(i, size.h, align_corners);
                            sums[axis][2] += double(*dy);
                        }
                for (Index k = 0; k < 6; ++k) grad[n * 6 + k] += T(sums[k / 3][k % 3]);
            }
        });
    return grid;
}

}  // namespace lamina::inline LAMINA_ABI
