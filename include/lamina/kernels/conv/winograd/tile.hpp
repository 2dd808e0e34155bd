#pragma once
// The small convolutions that Winograd's algorithm is made of: M outputs of a 3-tap filter from M + 2 inputs and M + 2
// products. F(2,3) takes the points 0, +-1, infinity; F(4,3) takes 0, +-5/8, +-3/2, infinity, which of 78 pairs of
// short binary fractions round least: half the RMS error, a third of the maximum of the usual +-1, +-2, at the same
// speed.
#include <lamina/simd/vec.hpp>

#define LAMINA_UNROLL _Pragma("GCC unroll 8")

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// The transforms in one dimension, on lanes of any kind, and their adjoints for the gradient of the weight.
template <int M>
struct WinogradTile;

template <>
struct WinogradTile<2> {
    static constexpr int outputs = 2, size = 4, frequencies = 16;

    template <class V>
    LAMINA_INLINE static void input(const V (&d)[4], V (&v)[4]) {
        v[0] = d[0] - d[2];
        v[1] = d[2] + d[1];
        v[2] = d[2] - d[1];
        v[3] = d[3] - d[1];
    }
    template <class V>
    LAMINA_INLINE static void weight(const V (&w)[3], V (&u)[4]) {
        const V half = 0.5, even = half * (w[0] + w[2]), odd = half * w[1];
        u[0] = w[0];
        u[1] = even + odd;
        u[2] = even - odd;
        u[3] = w[2];
    }
    template <class V>
    LAMINA_INLINE static void output(const V (&m)[4], V (&y)[2]) {
        y[0] = m[0] + m[1] + m[2];
        y[1] = m[1] - m[2] + m[3];
    }
    template <class V>
    LAMINA_INLINE static void output_adjoint(const V (&y)[2], V (&m)[4]) {
        m[0] = y[0];
        m[1] = y[0] + y[1];
        m[2] = y[0] - y[1];
        m[3] = y[1];
    }
    template <class V>
    LAMINA_INLINE static void weight_adjoint(const V (&u)[4], V (&w)[3]) {
        const V half = 0.5, even = half * (u[1] + u[2]);
        w[0] = u[0] + even;
        w[1] = half * (u[1] - u[2]);
        w[2] = even + u[3];
    }
};

template <>
struct WinogradTile<4> {
    static constexpr int outputs = 4, size = 6, frequencies = 36;
    static constexpr double a = 0.625, b = 1.5, a2 = a * a, b2 = b * b;
    /// What divides the rows of the weight's transform: products of the differences of the points.
    static constexpr double scale_0 = 1 / (a2 * b2), scale_a = 1 / (2 * a2 * (a2 - b2)),
                            scale_b = 1 / (2 * b2 * (b2 - a2));

    template <class V>
    LAMINA_INLINE static void input(const V (&d)[6], V (&v)[6]) {
        const V pa = real<V>(a), pb = real<V>(b), pa2 = real<V>(a2), pb2 = real<V>(b2), sum = real<V>(a2 + b2),
                product = real<V>(a2 * b2);
        v[0] = fma(product, d[0], fnma(sum, d[2], d[4]));
        v[5] = fma(product, d[1], fnma(sum, d[3], d[5]));
        const V even_a = fnma(pb2, d[2], d[4]), odd_a = fnma(pb2, d[1], d[3]);
        v[1] = fma(pa, odd_a, even_a);
        v[2] = fnma(pa, odd_a, even_a);
        const V even_b = fnma(pa2, d[2], d[4]), odd_b = fnma(pa2, d[1], d[3]);
        v[3] = fma(pb, odd_b, even_b);
        v[4] = fnma(pb, odd_b, even_b);
    }
    template <class V>
    LAMINA_INLINE static void weight(const V (&w)[3], V (&u)[6]) {
        const V even_a = fma(real<V>(a2 * scale_a), w[2], real<V>(scale_a) * w[0]), odd_a = real<V>(a * scale_a) * w[1];
        const V even_b = fma(real<V>(b2 * scale_b), w[2], real<V>(scale_b) * w[0]), odd_b = real<V>(b * scale_b) * w[1];
        u[0] = real<V>(scale_0) * w[0];
        u[1] = even_a + odd_a;
        u[2] = even_a - odd_a;
        u[3] = even_b + odd_b;
        u[4] = even_b - odd_b;
        u[5] = w[2];
    }
    template <class V>
    LAMINA_INLINE static void output(const V (&m)[6], V (&y)[4]) {
        const V even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
        y[0] = m[0] + even_a + even_b;
        y[1] = fma(real<V>(b), odd_b, real<V>(a) * odd_a);
        y[2] = fma(real<V>(b2), even_b, real<V>(a2) * even_a);
        y[3] = fma(real<V>(b * b2), odd_b, fma(real<V>(a * a2), odd_a, m[5]));
    }
    template <class V>
    LAMINA_INLINE static void output_adjoint(const V (&y)[4], V (&m)[6]) {
        const V even_a = fma(real<V>(a2), y[2], y[0]), odd_a = fma(real<V>(a * a2), y[3], real<V>(a) * y[1]);
        const V even_b = fma(real<V>(b2), y[2], y[0]), odd_b = fma(real<V>(b * b2), y[3], real<V>(b) * y[1]);
        m[0] = y[0];
        m[1] = even_a + odd_a;
        m[2] = even_a - odd_a;
        m[3] = even_b + odd_b;
        m[4] = even_b - odd_b;
        m[5] = y[3];
    }
    template <class V>
    LAMINA_INLINE static void weight_adjoint(const V (&u)[6], V (&w)[3]) {
        const V even_a = u[1] + u[2], odd_a = u[1] - u[2], even_b = u[3] + u[4], odd_b = u[3] - u[4];
        w[0] = fma(real<V>(scale_0), u[0], fma(real<V>(scale_a), even_a, real<V>(scale_b) * even_b));
        w[1] = fma(real<V>(a * scale_a), odd_a, real<V>(b * scale_b) * odd_b);
        w[2] = fma(real<V>(a2 * scale_a), even_a, fma(real<V>(b2 * scale_b), even_b, u[5]));
    }

private:
    template <class V>
    LAMINA_INLINE static V real(double x) {
        return V(typename V::value_type(x));
    }
};

/// `transform` along the columns of In x In lanes, then along the rows: Out x Out lanes, both row after row. `load(i,
/// j)` reads an element, `store(i, j, lanes)` takes one.
template <int In, int Out, class V, class Transform, class Load, class Store>
LAMINA_INLINE void transform_square(Transform transform, Load load, Store store) {
    V half[Out][In];
    LAMINA_UNROLL
    for (int j = 0; j < In; ++j) {
        V column[In], changed[Out];
        LAMINA_UNROLL
        for (int i = 0; i < In; ++i) column[i] = load(i, j);
        transform(column, changed);
        LAMINA_UNROLL
        for (int i = 0; i < Out; ++i) half[i][j] = changed[i];
    }
    LAMINA_UNROLL
    for (int i = 0; i < Out; ++i) {
        V changed[Out];
        transform(half[i], changed);
        LAMINA_UNROLL
        for (int j = 0; j < Out; ++j) store(i, j, changed[j]);
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
#undef LAMINA_UNROLL
