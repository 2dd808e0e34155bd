#include <lamina/kernels/conv/winograd/forward.hpp>

#include "../../support/archs.hpp"
#include "winograd_reference.hpp"

#include <doctest/doctest.h>

#include <type_traits>

using namespace lamina;
using namespace winograd_test;

namespace {

/// With a tile of 2 or 4, weights prepared or transformed on the way.
template <class Arch, class T, class Epilogue = kernels::NoEpilogue>
void run(const Conv2dGeometry& g, int tile, bool prepared, const T* x, const T* w, T* y,
         const Epilogue& epilogue = {}) {
    if (prepared) kernels::winograd_forward<Arch>(g, x, kernels::winograd_prepare<Arch>(g, tile, w), y, epilogue);
    else kernels::winograd_forward<Arch>(g, tile, x, w, y, epilogue);
}

template <class Arch, class T>
void check_forward() {
    for (const Conv2dGeometry& g : shapes) {
        const auto x = normal<T>(g.batch * g.in_channels * g.in_plane(), 1);
        const auto w = normal<T>(9 * g.in_channels * g.out_channels, 2);
        const auto exact = forward(g, x, w);
        for (const int tile : {2, 4})
            for (const bool prepared : {true, false}) {
                CAPTURE(g.in_channels);
                CAPTURE(g.in_w);
                CAPTURE(tile);
                CAPTURE(prepared);
                Guarded<T> y(Index(exact.size()));
                run<Arch>(g, tile, prepared, x.data(), w.data(), y.data());
                CHECK(error(y.values(), exact).largest <= tolerance<T>);
                CHECK(y.untouched_outside());
            }
    }
}

}  // namespace

TEST_CASE_TEMPLATE("winograd_forward: equals the definition", Arch, LAMINA_TEST_ARCHS) {
    check_forward<Arch, float>();
    check_forward<Arch, double>();
}

TEST_CASE("winograd_forward: the epilogue sees channel, position and image") {
    const Conv2dGeometry g = geometry(3, 19, 10, 9, 37, 1, 0, 10, 7);
    const auto x = normal<float>(g.batch * g.in_channels * g.in_plane(), 3);
    const auto w = normal<float>(9 * g.in_channels * g.out_channels, 4, 0.1);
    const auto bias = normal<float>(g.out_channels, 5);
    const auto residual = normal<float>(g.batch * g.out_channels * g.plane(), 6);
    auto exact = forward(g, x, w);
    for (Index i = 0; i < Index(exact.size()); ++i)
        exact[i] = std::max(0.0, exact[i] + bias[i / g.plane() % g.out_channels] + residual[i]);
    const auto relu = kernels::Apply{[](auto y) LAMINA_INLINE_LAMBDA { return max(decltype(y)(0.0f), y); }};
    const auto epilogue =
        kernels::Then{kernels::BiasRows{bias.data()},
                      kernels::Then{kernels::AddImages<float>{residual.data(), g.out_channels, g.plane()}, relu}};
    for (const int tile : {2, 4})
        for (const bool prepared : {true, false}) {
            Guarded<float> y(Index(exact.size()));
            run<simd::native>(g, tile, prepared, x.data(), w.data(), y.data(), epilogue);
            CHECK(error(y.values(), exact).largest <= tolerance<float>);
            CHECK(y.untouched_outside());
        }
}

TEST_CASE("winograd_forward: no images, and prepared weights that move") {
    Conv2dGeometry g = same(0, 16, 8, 8, 16);
    const auto w = normal<float>(9 * 16 * 16, 7);
    float y = 5;
    for (const bool prepared : {true, false}) run<simd::native>(g, 4, prepared, &y, w.data(), &y);
    CHECK(y == 5);

    g.batch = 1;
    const auto x = normal<float>(16 * 64, 8);
    kernels::WinogradWeights<float> first = kernels::winograd_prepare(g, 2, w.data()), second;
    CHECK(second.empty());
    CHECK(first.tile() == 2);
    CHECK(reinterpret_cast<std::uintptr_t>(first.data()) % 64 == 0);
    second = std::move(first);
    std::vector<float> out(16 * 64);
    kernels::winograd_forward(g, x.data(), second, out.data());
    CHECK(error(out, forward(g, x, w)).largest <= tolerance<float>);
}

TEST_CASE_TEMPLATE("winograd_forward: the same bits at any number of threads", T, float, double) {
    const int before = parallel::num_threads();
    const Conv2dGeometry many[] = {same(1, 40, 30, 33, 50), same(1, 300, 9, 9, 70), same(5, 64, 14, 14, 64)};
    for (const Conv2dGeometry& g : many) {
        const auto x = normal<T>(g.batch * g.in_channels * g.in_plane(), 9);
        const auto w = normal<T>(9 * g.in_channels * g.out_channels, 10);
        for (const int tile : {2, 4})
            for (const bool prepared : {true, false}) {
                std::vector<T> first;
                for (const int threads : {1, 2, 3, 7}) {
                    parallel::set_num_threads(threads);
                    std::vector<T> y(std::size_t(g.batch * g.out_channels * g.plane()));
                    run<simd::native>(g, tile, prepared, x.data(), w.data(), y.data());
                    if (first.empty()) first = y;
                    CHECK(y == first);
                }
            }
    }
    parallel::set_num_threads(before);
}

TEST_CASE("winograd: what fits and which tile") {
    const Conv2dGeometry good = same(1, 64, 56, 56, 64);
    CHECK(kernels::winograd_fits(good));
    const auto without = [&](auto change) {
        Conv2dGeometry g = good;
        change(g);
        return !kernels::winograd_fits(g);
    };
    CHECK(without([](Conv2dGeometry& g) { g.kernel_h = 1; }));
    CHECK(without([](Conv2dGeometry& g) { g.kernel_w = 5; }));
    CHECK(without([](Conv2dGeometry& g) { g.stride_h = 2; }));
    CHECK(without([](Conv2dGeometry& g) { g.stride_w = 2; }));
    CHECK(without([](Conv2dGeometry& g) { g.dilation_h = 2; }));
    CHECK(without([](Conv2dGeometry& g) { g.dilation_w = 2; }));
    CHECK(without([](Conv2dGeometry& g) { g.groups = 2; }));
    CHECK(without([](Conv2dGeometry& g) { g.in_channels = 3; }));
    CHECK(without([](Conv2dGeometry& g) { g.out_channels = 3; }));
    CHECK(kernels::winograd_tile(good) == 4);
    CHECK(kernels::winograd_tile(same(1, 320, 64, 64, 320)) == 4);
    CHECK(kernels::winograd_tile(same(1, 1280, 16, 16, 1280)) == 4);
    CHECK(kernels::winograd_tile(same(1, 512, 7, 7, 512)) == 2);  // the weights of four tiles take all the time
    CHECK(kernels::winograd_tile(same(8, 512, 7, 7, 512)) == 4);
    CHECK(kernels::winograd_tile(same(1, 64, 6, 6, 64)) == 2);  // half of F4's tiles would lie outside
}

TEST_CASE("winograd: blocks cover every tile once") {
    for (const Conv2dGeometry& g : {same(1, 1, 30, 1000, 1), same(7, 1, 7, 7, 1), same(3, 1, 33, 20, 1)})
        for (const Index limit : {1, 5, 24, 64, 10000})
            for (const Index threads : {1, 2, 5}) {
                const kernels::detail::TileGrid grid(g, 4, limit, threads);
                std::vector<int> seen(std::size_t(grid.rows * grid.across));
                for (Index b = 0; b < grid.blocks(); ++b) {
                    const auto block = grid.block(b);
                    CHECK(block.tiles() <= limit);
                    CHECK(block.tiles() <= grid.most());
                    for (Index r = 0; r < block.rows.size(); ++r) {
                        const auto part = block.at(r, grid.down);
                        CHECK(part.first == r * part.columns.size());
                        for (Index c = part.columns.begin; c < part.columns.end; ++c)
                            ++seen[std::size_t((part.image * grid.down + part.row) * grid.across + c)];
                    }
                }
                CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
            }
}
