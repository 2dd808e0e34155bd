#include <lamina/kernels/conv/bands.hpp>

#include "../../support/archs.hpp"
#include "conv_reference.hpp"

#include <doctest/doctest.h>

using namespace lamina;
using conv_reference::naive;
using conv_reference::relative_error;
using conv_reference::wave;
using kernels::Conv2dGeometry;

namespace {

struct Layer {
    Index channels, kernel = 1, stride = 1, pad = 0, dilation = 1;  ///< kernel 1 mixes, larger ones filter
};
struct Case {
    Index batch, in, h, w;
    std::vector<Layer> layers;

    std::vector<Conv2dGeometry> geometries() const {
        std::vector<Conv2dGeometry> all;
        Index channels = in, rows = h, columns = w;
        for (const Layer& l : layers) {
            const auto out = [&](Index n) { return (n + 2 * l.pad - l.dilation * (l.kernel - 1) - 1) / l.stride + 1; };
            const Index groups = l.kernel == 1 ? 1 : channels;
            all.push_back({batch, channels, rows, columns, l.channels, l.kernel, l.kernel, l.stride, l.stride, l.pad,
                           l.pad, l.dilation, l.dilation, groups, out(rows), out(columns)});
            channels = l.channels, rows = out(rows), columns = out(columns);
        }
        return all;
    }
};
const Case cases[] = {
    {1, 5, 9, 32, {{18}, {18, 3, 1, 1}, {7}}},                   // expand, filter, project
    {2, 3, 31, 16, {{20}, {20, 5, 2, 2}}},                       // stride 2; two images
    {1, 6, 17, 48, {{6, 3, 1, 1}, {33}}},                        // begins with a filter
    {1, 4, 40, 16, {{12}, {12, 3, 1, 1}, {12, 5, 1, 2}, {40}}},  // two filters one behind the other
    {1, 2, 14, 32, {{9}, {9, 3, 1, 0}, {9, 3, 2, 1}}},           // no margin
    {1, 3, 23, 16, {{16}, {16, 3, 1, 2, 2}, {4}}},               // dilation
    {1, 4, 1, 64, {{8}, {8, 7, 1, 3}, {8}}},                     // a single row
    {0, 4, 8, 16, {{8}, {8, 3, 1, 1}}},                          // no images
};

/// Adds a number that depends on image, channel and position.
template <class T>
struct Mark {
    Index n = 0;
    Mark image(Index i) const { return {i}; }
    template <class Arch, class Count>
    simd::Vec<T, Arch> operator()(simd::Vec<T, Arch> x, Index channel, Index position, Count) const {
        T at[simd::Vec<T, Arch>::width];
        for (Index i = 0; i < simd::Vec<T, Arch>::width; ++i) at[i] = mark(n, channel, position + i);
        return x + simd::load<Arch>(at);
    }
    static T mark(Index n, Index channel, Index position) {
        return T(Index(n * 5 + channel * 3 + position) % 7) / T(4) - T(1);
    }
};

template <class Arch, class T>
void agrees_with_naive(const Case& c, Index rows, double tolerance) {
    const auto geometries = c.geometries();
    const auto count = Index(geometries.size());
    std::vector<std::vector<T>> weights;
    std::vector<kernels::Conv2dWeights<T, Arch>> prepared;
    std::vector<kernels::BandStage<T, Arch>> stages;
    const Mark<T> mark;
    weights.reserve(geometries.size()), prepared.reserve(geometries.size());
    const auto x = wave<T>(c.batch * c.in * c.h * c.w, 0);
    std::vector<double> map(x.begin(), x.end());
    for (const auto& g : geometries) {
        weights.push_back(wave<T>(g.out_channels * g.depth(), double(weights.size()) + 1));
        for (T& w : weights.back()) w /= T(g.depth());
        prepared.push_back(kernels::conv2d_prepare<Arch>(g, ConvAlgorithm::automatic, weights.back().data()));
        stages.push_back({g, &prepared.back(), kernels::conv_finish<Arch, T>(mark)});
        std::vector<double> next(std::size_t(g.batch * g.out_channels * g.plane()));
        for (std::size_t i = 0; i < next.size(); ++i) {
            const auto at = Index(i), channel = at / g.plane();
            next[i] = double(Mark<T>::mark(channel / g.out_channels, channel % g.out_channels, at % g.plane()));
        }
        naive(g, [&](auto i, auto k, auto o) { next[o] += map[i] * double(weights.back()[k]); });
        map = next;
    }
    REQUIRE(kernels::conv_bands_fit(stages.data(), count));
    std::vector<T> y(map.size(), T(-777));
    kernels::conv_bands_forward(stages.data(), count, x.data(), y.data(), rows);
    CHECK(relative_error(y, map) < tolerance);
}

}  // namespace

TEST_CASE_TEMPLATE("conv_bands: as one convolution after another, whatever the bands", Arch, LAMINA_TEST_ARCHS) {
    const int threads = parallel::num_threads();
    for (const Case& c : cases)
        for (const Index rows : {0, 1, 2, 5, 64}) {
            CAPTURE(&c - cases);
            CAPTURE(rows);
            parallel::set_num_threads(rows == 2 ? 3 : 1);
            agrees_with_naive<Arch, float>(c, rows, 1e-6);
            agrees_with_naive<Arch, double>(c, rows, 1e-14);
        }
    parallel::set_num_threads(threads);
}

TEST_CASE("conv_bands: what fits") {
    const auto fits = [](const Conv2dGeometry& first, const Conv2dGeometry& second) {
        const std::vector<float> w(100000);
        const auto a = kernels::conv2d_prepare(first, ConvAlgorithm::automatic, w.data());
        const auto b = kernels::conv2d_prepare(second, ConvAlgorithm::automatic, w.data());
        const Mark<float> mark;
        const kernels::BandStage<float> stages[] = {{first, &a, kernels::conv_finish<simd::native, float>(mark)},
                                                    {second, &b, kernels::conv_finish<simd::native, float>(mark)}};
        CHECK_FALSE(kernels::conv_bands_fit(stages, 1));
        return kernels::conv_bands_fit(stages, 2);
    };
    const auto mix = [](Index in, Index out, Index side) {
        return Conv2dGeometry{1, in, side, side, out, 1, 1, 1, 1, 0, 0, 1, 1, 1, side, side};
    };
    const auto filter = [](Index channels, Index side, Index pad) {
        const Index out = side + 2 * pad - 2;
        return Conv2dGeometry{1, channels, side, side, channels, 3, 3, 1, 1, pad, pad, 1, 1, channels, out, out};
    };
    CHECK(fits(mix(4, 16, 32), filter(16, 32, 1)));
    CHECK_FALSE(fits(mix(4, 16, 32), filter(16, 32, 3)));  // rows that see margins only
    const Conv2dGeometry dense{1, 16, 32, 32, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 32, 32};
    CHECK_FALSE(fits(mix(4, 16, 32), dense));
    Conv2dGeometry twice = filter(16, 32, 1);
    twice.out_channels = 32;
    CHECK_FALSE(fits(mix(4, 16, 32), twice));
}
