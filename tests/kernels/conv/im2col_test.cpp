#include <lamina/kernels/conv/im2col.hpp>

#include "../../support/archs.hpp"
#include "../../support/compare.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace lamina;
using kernels::Conv2dGeometry;

namespace {

struct Case {
    Index batch, in, h, w, out, kh, kw, sh, sw, ph, pw, dh, dw, groups;

    Conv2dGeometry geometry() const {
        return {batch,
                in,
                h,
                w,
                out,
                kh,
                kw,
                sh,
                sw,
                ph,
                pw,
                dh,
                dw,
                groups,
                (h + 2 * ph - dh * (kh - 1) - 1) / sh + 1,
                (w + 2 * pw - dw * (kw - 1) - 1) / sw + 1};
    }
};
const Case cases[] = {
    {2, 6, 5, 17, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1},     // the ordinary one
    {1, 3, 9, 33, 8, 3, 2, 2, 3, 2, 1, 1, 2, 1},     // strides, dilation, uneven padding
    {3, 4, 8, 8, 6, 3, 3, 2, 1, 1, 2, 2, 1, 2},      // groups
    {2, 5, 7, 9, 5, 3, 3, 1, 1, 1, 1, 1, 1, 5},      // depthwise
    {2, 7, 6, 6, 15, 1, 1, 1, 1, 0, 0, 1, 1, 1},     // pointwise
    {2, 8, 6, 6, 4, 1, 1, 2, 2, 0, 0, 1, 1, 2},      // pointwise with stride
    {1, 2, 4, 4, 3, 4, 4, 1, 1, 0, 0, 1, 1, 1},      // one output
    {2, 1, 3, 3, 2, 3, 3, 1, 1, 5, 5, 1, 1, 1},      // more padding than image
    {1, 40, 30, 30, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1},  // several blocks of patches
    {1, 1, 200, 180, 2, 5, 5, 1, 1, 2, 2, 1, 1, 1},  // a plane larger than a block
    {0, 3, 5, 5, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1},      // no images
};

/// Calls f(input, weight, output) with the offsets of every product that the convolution adds up.
template <class F>
void naive(const Conv2dGeometry& g, F&& f) {
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
                                f((channel * g.in_h + iy) * g.in_w + ix,
                                  ((oc * g.group_in() + c) * g.kernel_h + ky) * g.kernel_w + kx,
                                  ((n * g.out_channels + oc) * g.out_h + oy) * g.out_w + ox);
                            }
}

template <class T>
std::vector<T> wave(Index n, double phase) {
    std::vector<T> v;
    for (Index i = 0; i < n; ++i) v.push_back(T(test::wave_at(i, phase)));
    return v;
}
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
    Conv2dGeometry g;
    std::vector<T> x, w, dy, y, dx, dw;

    explicit Problem(const Case& c)
        : g(c.geometry()),
          x(wave<T>(g.batch * g.in_channels * g.in_plane(), 0)),
          w(wave<T>(g.out_channels * g.depth(), 1)),
          dy(wave<T>(g.batch * g.out_channels * g.plane(), 2)),
          y(dy.size(), T(-777)),
          dx(x.size(), T(-777)),
          dw(w.size(), T(-777)) {}
};

}  // namespace

TEST_CASE_TEMPLATE("conv2d kernels: forward and gradients agree with the naive loops", Arch, LAMINA_TEST_ARCHS) {
    for (const Case& c : cases) {
        Problem<float> p(c);
        CAPTURE(&c - cases);
        std::vector<double> y(p.y.size()), dx(p.x.size()), dw(p.w.size());
        naive(p.g, [&](Index x, Index w, Index o) {
            y[std::size_t(o)] += double(p.x[std::size_t(x)]) * double(p.w[std::size_t(w)]);
            dx[std::size_t(x)] += double(p.dy[std::size_t(o)]) * double(p.w[std::size_t(w)]);
            dw[std::size_t(w)] += double(p.dy[std::size_t(o)]) * double(p.x[std::size_t(x)]);
        });
        kernels::im2col_forward<Arch>(p.g, p.x.data(), p.w.data(), p.y.data());
        kernels::im2col_grad_input<Arch>(p.g, p.dy.data(), p.w.data(), p.dx.data(), false);
        kernels::im2col_grad_weight<Arch>(p.g, p.dy.data(), p.x.data(), p.dw.data(), false);
        CHECK(relative_error(p.y, y) < 2e-6);
        CHECK(relative_error(p.dx, dx) < 2e-6);
        CHECK(relative_error(p.dw, dw) < 1e-5);
        for (auto* v : {&dx, &dw})
            for (double& e : *v) e *= 2;
        kernels::im2col_grad_input<Arch>(p.g, p.dy.data(), p.w.data(), p.dx.data(), true);
        kernels::im2col_grad_weight<Arch>(p.g, p.dy.data(), p.x.data(), p.dw.data(), true);
        CHECK(relative_error(p.dx, dx) < 2e-6);
        CHECK(relative_error(p.dw, dw) < 1e-5);
    }
}

TEST_CASE("conv2d kernels: bias and activation in the store count channels over all groups") {
    Problem<double> p(cases[2]);
    std::vector<double> bias = wave<double>(p.g.out_channels, 3), y(p.y.size());
    naive(p.g, [&](Index x, Index w, Index o) { y[std::size_t(o)] += p.x[std::size_t(x)] * p.w[std::size_t(w)]; });
    for (std::size_t i = 0; i < y.size(); ++i)
        y[i] = std::max(0.0, y[i] + bias[i / std::size_t(p.g.plane()) % std::size_t(p.g.out_channels)]);
    const auto relu = [](auto x) LAMINA_INLINE_LAMBDA { return max(decltype(x)(0.0), x); };
    kernels::im2col_forward(p.g, p.x.data(), p.w.data(), p.y.data(),
                            kernels::Then{kernels::BiasRows<double>{bias.data()}, kernels::Apply{relu}});
    CHECK(relative_error(p.y, y) < 1e-13);
}

TEST_CASE("conv2d kernels: 1 and 3 threads give the same bits") {
    const int before = parallel::num_threads();
    for (const Case& c : cases) {
        Problem<float> one(c), three(c);
        for (auto* p : {&one, &three}) {
            parallel::set_num_threads(p == &one ? 1 : 3);
            kernels::im2col_forward(p->g, p->x.data(), p->w.data(), p->y.data());
            kernels::im2col_grad_input(p->g, p->dy.data(), p->w.data(), p->dx.data(), false);
            kernels::im2col_grad_weight(p->g, p->dy.data(), p->x.data(), p->dw.data(), false);
        }
        CHECK(one.y == three.y);
        CHECK(one.dx == three.dx);
        CHECK(one.dw == three.dw);
    }
    parallel::set_num_threads(before);
}
