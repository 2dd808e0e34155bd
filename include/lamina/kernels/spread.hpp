#pragma once
// The way back from a reduction: every element gets its share of the reduced result's gradient.
#include <lamina/kernels/policy.hpp>
#include <lamina/kernels/reduce.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// dx[o, c, i] = f(x[o, c, i], y[o, i], dy[o, i]), or += with `accumulate`. `x` and `y` may be null (zeros). `f` works
/// on vectors of lanes.
template <class Arch = simd::native, class T, class F>
void spread(const ReduceGeometry& g, const T* x, const T* y, const T* dy, T* dx, bool accumulate, const F& f);

namespace detail {

/// One dense run; y(i, count) and dy(i, count) give the lanes that belong to it.
template <class Arch, class T, class Y, class G, class F>
LAMINA_INLINE void spread_run(Index n, const T* x, Y&& y, G&& dy, T* dx, bool accumulate, bool stream, const F& f) {
    using V = simd::Vec<T, Arch>;
    simd::row<Arch, T>(n, [&](Index i, auto count) LAMINA_INLINE_LAMBDA {
        const V in = x ? simd::load_count<Arch>(x + i, count) : V(T(0));
        V out = f(in, y(i, count), dy(i, count));
        if (accumulate) out += simd::load_count<Arch>(dx + i, count);
        if (stream && count == V::width) simd::stream(dx + i, out);
        else simd::store_count(dx + i, out, count);
    });
    if (stream) simd::stream_fence();
}

}  // namespace detail

template <class Arch, class T, class F>
void spread(const ReduceGeometry& g, const T* x, const T* y, const T* dy, T* dx, bool accumulate, const F& f) {
    using V = simd::Vec<T, Arch>;
    if (g.inputs() == 0) return;
    const bool stream = !accumulate && g.inputs() * Index(sizeof(T)) >= dense_stream_threshold_bytes;
    if (g.inner == 1) {
        constexpr Index longest = 16384;
        const Index run = g.count < longest ? g.count : longest, runs = (g.count + run - 1) / run;
        parallel::for_range(g.outer * runs, parallel::grain_for(run), [&](Index begin, Index end) {
            for (Index task = begin; task < end; ++task) {
                const Index o = task / runs, at = task % runs * run, from = o * g.count + at;
                const V yo = y ? y[o] : T(0), go = dy[o];
                const auto same = [](V v) { return [v](Index, auto) LAMINA_INLINE_LAMBDA { return v; }; };
                detail::spread_run<Arch>(g.count - at < run ? g.count - at : run, x ? x + from : nullptr, same(yo),
                                         same(go), dx + from, accumulate, stream, f);
            }
        });
        return;
    }
    parallel::for_range(g.outer * g.count, parallel::grain_for(g.inner), [&](Index begin, Index end) {
        for (Index row = begin; row < end; ++row) {
            const Index o = row / g.count * g.inner, from = row * g.inner;
            const auto lanes = [&](const T* p) {
                return [p, o](Index i, auto count)
                           LAMINA_INLINE_LAMBDA { return p ? simd::load_count<Arch>(p + o + i, count) : V(T(0)); };
            };
            detail::spread_run<Arch>(g.inner, x ? x + from : nullptr, lanes(y), lanes(dy), dx + from, accumulate,
                                     stream, f);
        }
    });
}

}  // namespace lamina::inline LAMINA_ABI::kernels
