#pragma once
// Vector times packed matrix, as a Linear layer of one row: bound by reading the matrix once. Several panels are read
// side by side, because one stream alone keeps too few lines in flight.
#include <lamina/kernels/gemm/pack.hpp>
#include <lamina/parallel/for.hpp>

#define LAMINA_UNROLL _Pragma("GCC unroll 16")

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// y[columns] (+)= x[k] times `Panels` panels of `Vectors` vectors each, the first at `b`.
template <class Arch, int Panels, int Vectors, class T>
void gemv_panels(const T* x, Index k, const T* b, T* y, Index columns, bool accumulate) {
    using V = simd::Vec<T, Arch>;
    constexpr Index width = V::width, panel = Vectors * width;
    // Sums of sums: less is rounded away than in one long sum.
    constexpr Index depth = 1024;
    const Index step = panel * k, pieces = larger(1, ceil_div(k, depth));
    for (Index q = 0; q < pieces; ++q) {
        const Piece part = piece(k, pieces, q);
        V sum[Panels][Vectors];
        LAMINA_UNROLL
        for (int i = 0; i < Panels; ++i) {
            LAMINA_UNROLL
            for (int j = 0; j < Vectors; ++j) sum[i][j] = V(T(0));
        }
        _Pragma("GCC unroll 1") for (Index p = part.begin; p < part.end; ++p, b += panel) {
            const V value = simd::broadcast<Arch>(x + p);
            LAMINA_UNROLL
            for (int i = 0; i < Panels; ++i) {
                LAMINA_UNROLL
                for (int j = 0; j < Vectors; ++j)
                    sum[i][j] = fma(value, simd::load<Arch>(b + i * step + j * width), sum[i][j]);
            }
        }
        LAMINA_UNROLL
        for (int i = 0; i < Panels; ++i) {
            LAMINA_UNROLL
            for (int j = 0; j < Vectors; ++j) {
                const Index at = i * panel + j * width;
                const int count = int(smaller(columns - at, width));
                if (accumulate || q > 0) sum[i][j] += simd::load_partial<Arch>(y + at, count);
                simd::store_partial(y + at, sum[i][j], count);
            }
        }
    }
}

/// Panels [part) of a packed matrix [k, n].
template <class Arch, class T>
void gemv_packed_part(const T* x, Index k, Index n, const T* b, T* y, Piece part, bool accumulate) {
    constexpr int panels = Arch::bytes == 64 ? 8 : 4;
    constexpr Index panel = panel_columns<Arch, T>;
    Index i = part.begin;
    for (; i + panels <= part.end && (i + panels) * panel <= n; i += panels)
        gemv_panels<Arch, panels, tile_vectors>(x, k, b + i * panel * k, y + i * panel, panels * panel, accumulate);
    for (; i < part.end; ++i) {
        const Index columns = smaller(n - i * panel, panel);
        (panel_width<Arch, T>(columns) == panel
             ? gemv_panels<Arch, 1, tile_vectors, T>
             : gemv_panels<Arch, 1, 1, T>)(x, k, b + i * panel * k, y + i * panel, columns, accumulate);
    }
}

/// y[n] (+)= x[k] B for a packed B [k, n]; x is dense.
template <class Arch, class T>
void gemv_packed(const T* x, Index k, Index n, const T* b, T* y, bool accumulate) {
    const Index panels = ceil_div(n, panel_columns<Arch, T>);
    // About 32 K elements of the matrix pay for handing out a part.
    const Index parts = smaller(smaller(parallel::num_threads(), panels), larger(1, n * k / 32768));
    parallel::for_each(parts,
                       [&](Index i) { gemv_packed_part<Arch>(x, k, n, b, y, piece(panels, parts, i), accumulate); });
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
#undef LAMINA_UNROLL
