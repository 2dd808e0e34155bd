#pragma once
// Running sums and products along the middle dimension of [outer, count, inner], kept in double as they run.
#include <lamina/kernels/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// y[o, c, i] = x[o, 0, i] + … + x[o, c, i].
template <class T>
void cumsum_forward(const ReduceGeometry& g, const T* x, T* y);
/// dx[o, c, i] (+)= dy[o, c, i] + … + dy[o, count - 1, i].
template <class T>
void cumsum_grad_input(const ReduceGeometry& g, const T* dy, T* dx, bool accumulate);
/// y[o, c, i] = x[o, 0, i] * … * x[o, c, i].
template <class T>
void cumprod_forward(const ReduceGeometry& g, const T* x, T* y);
/// The gradient of cumprod from its input and result; right where elements are 0.
template <class T>
void cumprod_grad_input(const ReduceGeometry& g, const T* x, const T* y, const T* dy, T* dx, bool accumulate);

namespace detail {

template <class T>
using running = std::conditional_t<std::is_floating_point_v<T>, double, T>;

/// Walks the lines front to back, or back to front: total = combine(total, from[at]), store(to + at, total).
template <class T, class Combine, class Store>
void scan(const ReduceGeometry& g, const T* from, T* to, running<T> start, bool backwards, const Combine& combine,
          const Store& store) {
    constexpr Index tile = 256;
    const Index tiles = (g.inner + tile - 1) / tile, first = backwards ? g.count - 1 : 0;
    const Index step = backwards ? -g.inner : g.inner, width = g.inner < tile ? g.inner : tile;
    parallel::for_range(g.outer * tiles, parallel::grain_for(2 * g.count * width), [&](Index begin, Index end) {
        running<T> total[tile];
        for (Index task = begin; task < end; ++task) {
            const Index at = task % tiles * tile, n = g.inner - at < tile ? g.inner - at : tile;
            Index offset = (task / tiles * g.count + first) * g.inner + at;
            for (Index i = 0; i < n; ++i) total[i] = start;
            for (Index c = 0; c < g.count; ++c, offset += step)
                for (Index i = 0; i < n; ++i) {
                    total[i] = combine(total[i], running<T>(from[offset + i]));
                    store(to[offset + i], T(total[i]));
                }
        }
    });
}

}  // namespace detail

template <class T>
void cumsum_forward(const ReduceGeometry& g, const T* x, T* y) {
    detail::scan(
        g, x, y, 0, false, [](auto a, auto b) { return decltype(a)(a + b); }, [](T& to, T v) { to = v; });
}

template <class T>
void cumsum_grad_input(const ReduceGeometry& g, const T* dy, T* dx, bool accumulate) {
    const auto add = [](auto a, auto b) { return a + b; };
    if (accumulate) detail::scan(g, dy, dx, 0, true, add, [](T& to, T v) { to += v; });
    else detail::scan(g, dy, dx, 0, true, add, [](T& to, T v) { to = v; });
}

template <class T>
void cumprod_forward(const ReduceGeometry& g, const T* x, T* y) {
    detail::scan(
        g, x, y, 1, false, [](auto a, auto b) { return decltype(a)(a * b); }, [](T& to, T v) { to = v; });
}

template <class T>
void cumprod_grad_input(const ReduceGeometry& g, const T* x, const T* y, const T* dy, T* dx, bool accumulate) {
    parallel::for_range(g.outer * g.inner, parallel::grain_for(4 * g.count), [&](Index begin, Index end) {
        for (Index line = begin; line < end; ++line) {
            const Index base = line / g.inner * g.count * g.inner + line % g.inner;
            const auto at = [&](Index c) { return base + c * g.inner; };
            const auto put = [&](Index c, double v) { dx[at(c)] = accumulate ? T(dx[at(c)] + v) : T(v); };
            // In front of the first zero every product divides by its factor. The zero itself gets the products with
            // it left out, up to the next zero; nothing behind it matters.
            Index zero = 0;
            while (zero < g.count && x[at(zero)] != T(0)) ++zero;
            double total = 0;
            for (Index c = zero; c-- > 0;) {
                total += double(dy[at(c)]) * double(y[at(c)]);
                put(c, total / double(x[at(c)]));
            }
            if (zero == g.count) continue;
            double product = zero > 0 ? double(y[at(zero - 1)]) : 1, share = 0;
            for (Index c = zero; c < g.count; ++c) {
                if (c > zero) product *= double(x[at(c)]);
                share += product * double(dy[at(c)]);
            }
            put(zero, share);
            for (Index c = zero + 1; c < g.count; ++c) put(c, 0);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
