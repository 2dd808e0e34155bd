#pragma once
// Gradients of a convolution as matrix products with pieces of the matrix of patches that fit the cache: for the sizes
// that the strided and direct kernels leave, pointwise ones and those of few outputs.
#include <lamina/kernels/conv/patches.hpp>
#include <lamina/kernels/gemm/gemm.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// dx = dL/dx, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void im2col_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate);

/// dw = dL/dw, or is added to when `accumulate`.
template <class Arch = simd::native, class T>
void im2col_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate);

namespace detail {

inline constexpr Index patch_bytes = 256 << 10;  ///< of the patch matrix that a gradient holds at a time
inline constexpr int patch_slot = 10;            ///< of parallel::scratch

/// A part of the patch matrix small enough to keep: so many input channels of a group, so many outputs at a time.
struct PatchBlock {
    Index channels, columns;
};
template <class T>
PatchBlock patch_block(const Conv2dGeometry& g) {
    // 128 rows fill the product's tiles; fewer channels when their planes are large, but at least one.
    const Index room = patch_bytes / Index(sizeof(T));
    const Index channels = smaller(g.group_in(), larger(1, 128 / g.taps()));
    const Index columns = smaller(g.plane(), larger(64, room / (channels * g.taps()) / 64 * 64));
    return {channels, columns};
}

}  // namespace detail

template <class Arch, class T>
void im2col_grad_input(const Conv2dGeometry& g, const T* dy, const T* w, T* dx, bool accumulate) {
    const Index depth = g.depth(), plane = g.plane(), out = g.group_out();
    const detail::PatchBlock block = detail::patch_block<T>(g);
    const Index chunks = detail::ceil_div(g.group_in(), block.channels);
    // One task owns some channels of one image, so nothing is added to by two.
    parallel::for_each(g.batch * g.groups * chunks, [&](Index task) {
        const Index i = task / chunks;
        const detail::Piece channels = detail::piece(g.group_in(), chunks, task % chunks);
        const detail::Piece rows{channels.begin * g.taps(), channels.end * g.taps()};
        T* image = dx + i * g.group_in() * g.in_plane();
        const MatrixView<T> grad = row_major(dy + i * out * plane, plane);
        // [depth, out]: the weight read by columns.
        const MatrixView<T> weight = transposed(w + i % g.groups * out * depth + rows.begin, depth);
        T* first = image + channels.begin * g.in_plane();
        if (g.pointwise()) return gemm<Arch>({rows.size(), plane, out}, weight, grad, first, plane, accumulate);
        if (!accumulate)
            simd::for_each_vec<Arch>(
                channels.size() * g.in_plane(), []() LAMINA_INLINE_LAMBDA { return simd::Vec<T, Arch>(T(0)); }, first);
        T* patches = parallel::scratch<T>(rows.size() * block.columns, detail::patch_slot);
        for (Index j = 0; j < plane; j += block.columns) {
            const detail::Piece columns{j, detail::smaller(j + block.columns, plane)};
            gemm<Arch>({rows.size(), columns.size(), out}, weight, row_major(grad.data + j, plane), patches,
                       columns.size());
            detail::scatter_patches<Arch>(g, patches, columns.size(), rows, columns, image);
        }
    });
}

template <class Arch, class T>
void im2col_grad_weight(const Conv2dGeometry& g, const T* dy, const T* x, T* dw, bool accumulate) {
    const Index depth = g.depth(), plane = g.plane(), out = g.group_out(), size = g.out_channels * depth;
    const detail::PatchBlock block = detail::patch_block<T>(g);
    const Index chunks = detail::ceil_div(g.group_in(), block.channels);
    // One task owns some input channels of one group. If that makes few tasks, the batch is cut as well and the parts
    // are added up in order; how depends on the shape alone.
    const Index tasks = g.groups * chunks;
    const Index parts = detail::larger(1, detail::smaller(g.batch, 16 / tasks));
    T* sums = parts > 1 ? parallel::scratch<T>(parts * size, detail::patch_slot + 1) : dw;
    parallel::for_each(parts * tasks, [&](Index task) {
        const Index part = task / tasks, group = task % tasks / chunks;
        const detail::Piece channels = detail::piece(g.group_in(), chunks, task % chunks);
        const detail::Piece rows{channels.begin * g.taps(), channels.end * g.taps()};
        const detail::Piece images = detail::piece(g.batch, parts, part);
        T* sum = sums + part * (parts > 1 ? size : 0) + group * out * depth + rows.begin;
        bool add = parts == 1 && accumulate;
        for (Index n = images.begin; n < images.end; ++n) {
            const Index i = n * g.groups + group;
            const T* image = x + i * g.group_in() * g.in_plane();
            const T* grad = dy + i * out * plane;
            for (Index j = 0; j < plane; j += block.columns, add = true) {
                const detail::Piece columns{j, detail::smaller(j + block.columns, plane)};
                const Index k = columns.size();
                const T* patches = image + channels.begin * g.in_plane() + j;
                Index stride = plane;
                if (!g.pointwise()) {
                    T* gathered = parallel::scratch<T>(rows.size() * k, detail::patch_slot);
                    detail::gather_patches<Arch>(g, image, rows, columns, gathered, k);
                    patches = gathered;
                    stride = k;
                }
                gemm<Arch>({out, rows.size(), k}, row_major(grad + j, plane), transposed(patches, stride), sum, depth,
                           add);
            }
        }
        if (images.size() == 0 && !add)
            for (Index i = 0; i < out; ++i)
                for (Index k = 0; k < rows.size(); ++k) sum[i * depth + k] = T(0);
    });
    if (parts == 1) return;
    parallel::for_range(size, parallel::grain_for(parts), [&](Index begin, Index end) {
        simd::row<Arch, T>(end - begin, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
            auto total = accumulate ? simd::load_count<Arch>(dw + begin + i, count) : simd::Vec<T, Arch>(T(0));
            for (Index p = 0; p < parts; ++p) total += simd::load_count<Arch>(sums + p * size + begin + i, count);
            simd::store_count(dw + begin + i, total, count);
        });
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
