#pragma once
// The matrix of patches of a convolution, [channel, kernel row, kernel column] x [output row, output column], which is
// never stored whole: pieces of it are gathered from the image, and pieces of its gradient are added back.
#include <lamina/kernels/conv/geometry.hpp>
#include <lamina/kernels/conv/strided_copy.hpp>
#include <lamina/kernels/gemm/matrix.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// Which outputs of one output row are walked, and for one tap the first of them that reads inside the image and how
/// many do.
struct PatchRun {
    Index oy, ox, count;
};
struct RunInside {
    Index skip, count, source;  ///< outputs before it, its length, and where in the plane it reads first
};
inline RunInside run_inside(const Conv2dGeometry& g, const PatchRun& run, Index ky, Index kx) {
    const Index iy = run.oy * g.stride_h - g.pad_h + ky * g.dilation_h;
    const Index ix = run.ox * g.stride_w - g.pad_w + kx * g.dilation_w;
    if (iy < 0 || iy >= g.in_h || ix >= g.in_w) return {run.count, 0, 0};
    const Index skip = ix >= 0 ? 0 : smaller(run.count, ceil_div(-ix, g.stride_w));
    const Index end = smaller(run.count, ceil_div(g.in_w - ix, g.stride_w));
    return {skip, larger(0, end - skip), iy * g.in_w + ix + skip * g.stride_w};
}

/// Calls f(run, first) for the pieces of output rows that the outputs [columns) are made of, `first` counted from the
/// beginning of the columns.
template <class F>
LAMINA_INLINE void patch_runs(const Conv2dGeometry& g, Piece columns, F&& f) {
    Index oy = columns.begin / g.out_w, ox = columns.begin - oy * g.out_w;
    for (Index at = columns.begin; at < columns.end; ++oy, ox = 0) {
        const Index count = smaller(columns.end - at, g.out_w - ox);
        f(PatchRun{oy, ox, count}, at - columns.begin);
        at += count;
    }
}

/// Calls f(row, channel, ky, kx) for the rows [rows) of the patch matrix, `row` counted from the first.
template <class F>
LAMINA_INLINE void patch_rows(const Conv2dGeometry& g, Piece rows, F&& f) {
    Index channel = rows.begin / g.taps(), tap = rows.begin - channel * g.taps();
    Index ky = tap / g.kernel_w, kx = tap - ky * g.kernel_w;
    for (Index row = 0; row < rows.size(); ++row) {
        f(row, channel, ky, kx);
        if (++kx < g.kernel_w) continue;
        kx = 0;
        if (++ky < g.kernel_h) continue;
        ky = 0;
        ++channel;
    }
}

/// Gathers rows x columns of the patches of `image` [group_in, in_h, in_w] into rows of `width` elements; zeros stand
/// for what lies outside the image and behind the last column.
template <class Arch, class T>
void gather_patches(const Conv2dGeometry& g, const T* image, Piece rows, Piece columns, T* to, Index width) {
    patch_rows(g, rows, [&](Index row, Index channel, Index ky, Index kx) LAMINA_INLINE_LAMBDA {
        const T* plane = image + channel * g.in_plane();
        T* line = to + row * width;
        fill_zero<Arch>(line + columns.size(), width - columns.size());
        patch_runs(g, columns, [&](const PatchRun& run, Index first) LAMINA_INLINE_LAMBDA {
            const RunInside inside = run_inside(g, run, ky, kx);
            T* out = line + first;
            if (inside.count < run.count) {
                const Index after = smaller(run.count, inside.skip + inside.count);
                fill_zero<Arch>(out, inside.skip);
                fill_zero<Arch>(out + after, run.count - after);
            }
            copy_every<Arch>(plane + inside.source, g.stride_w, out + inside.skip, inside.count);
        });
    });
}

/// Adds rows x columns of a patch gradient, in rows of `width` elements, to the gradient of the image.
template <class Arch, class T>
void scatter_patches(const Conv2dGeometry& g, const T* patches, Index width, Piece rows, Piece columns, T* image) {
    patch_rows(g, rows, [&](Index row, Index channel, Index ky, Index kx) LAMINA_INLINE_LAMBDA {
        T* plane = image + channel * g.in_plane();
        patch_runs(g, columns, [&](const PatchRun& run, Index first) LAMINA_INLINE_LAMBDA {
            const RunInside inside = run_inside(g, run, ky, kx);
            const T* from = patches + row * width + first + inside.skip;
            T* to = plane + inside.source;
            if (g.stride_w == 1)
                simd::row<Arch, T>(inside.count, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
                    simd::store_count(
                        to + i, simd::load_count<Arch>(to + i, count) + simd::load_count<Arch>(from + i, count), count);
                });
            else
                for (Index i = 0; i < inside.count; ++i) to[i * g.stride_w] += from[i];
        });
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
