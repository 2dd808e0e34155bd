#pragma once
// The products that a convolution adds up, by its definition, and how far a result is from their sums.
#include <lamina/kernels/conv/geometry.hpp>

#include "../../support/compare.hpp"

#include <vector>

namespace conv_reference {

using namespace lamina;

/// Calls f(input, weight, output) with the offsets of every product that the convolution adds up.
template <class F>
void naive(const kernels::Conv2dGeometry& g, F&& f) {
    for (Index n = 0; n < g.batch; ++n)
        for (Index oc = 0; oc < g.out_channels; ++oc)
            for (Index oy = 0; oy < g.out_h; ++oy)
                for (Index ox = 0; ox < g.out_w; ++ox)
                    for (Index c = 0; c < g.group_in(); ++c)
                        for (Index ky = 0; ky < g.kernel_h; ++ky)
                            for (Index kx = 0; kx < g.kernel_w; ++kx) {
                                const Index iy = oy * g.stride_h - g.pad_h + ky * g.dilation_h;
                                const Index ix = ox * g.stride_w - g.pad_w + kx * g.dilation_w;
                                if (iy < 0 || iy >= g.in_h || ix < 0 || ix >= g.in_w) continue;
                                const Index channel = n * g.in_channels + oc / g.group_out() * g.group_in() + c;
                                f(std::size_t((channel * g.in_h + iy) * g.in_w + ix),
                                  std::size_t(((oc * g.group_in() + c) * g.kernel_h + ky) * g.kernel_w + kx),
                                  std::size_t(((n * g.out_channels + oc) * g.out_h + oy) * g.out_w + ox));
                            }
}

template <class T>
std::vector<T> wave(Index n, double phase) {
    std::vector<T> v;
    for (Index i = 0; i < n; ++i) v.push_back(T(test::wave_at(i, phase)));
    return v;
}
/// Largest difference as a part of the largest of `b`, or of 1; infinite for NaN.
template <class T>
double relative_error(const std::vector<T>& a, const std::vector<double>& b) {
    double largest = 0, scale = 1;
    for (std::size_t i = 0; i < b.size(); ++i) {
        largest = std::max(largest, test::error_of(double(a[i]), b[i]));
        scale = std::max(scale, std::abs(b[i]));
    }
    return largest / scale;
}

/// x, w, dy and room for the results, which begin as garbage.
template <class T>
struct Problem {
    kernels::Conv2dGeometry g;
    std::vector<T> x, w, dy, y, dx, dw;

    template <class Case>
        requires requires(const Case& c) { c.geometry(); }
    explicit Problem(const Case& c)
        : g(c.geometry()),
          x(wave<T>(g.batch * g.in_channels * g.in_plane(), 0)),
          w(wave<T>(g.out_channels * g.depth(), 1)),
          dy(wave<T>(g.batch * g.out_channels * g.plane(), 2)),
          y(dy.size(), T(-777)),
          dx(x.size(), T(-777)),
          dw(w.size(), T(-777)) {}

    std::vector<double> naive_y() const {
        std::vector<double> sum(y.size());
        naive(g, [&](auto i, auto k, auto o) { sum[o] += double(x[i]) * double(w[k]); });
        return sum;
    }
    std::vector<double> naive_dx() const {
        std::vector<double> sum(x.size());
        naive(g, [&](auto i, auto k, auto o) { sum[i] += double(dy[o]) * double(w[k]); });
        return sum;
    }
    std::vector<double> naive_dw() const {
        std::vector<double> sum(w.size());
        naive(g, [&](auto i, auto k, auto o) { sum[k] += double(dy[o]) * double(x[i]); });
        return sum;
    }
};

}  // namespace conv_reference
