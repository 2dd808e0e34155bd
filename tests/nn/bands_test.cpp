#include <lamina/nn/bands.hpp>
#include <lamina/nn/batch_norm.hpp>
#include <lamina/ops/slice.hpp>

#include <doctest/doctest.h>
#include <tests/support/compare.hpp>

using namespace lamina;

namespace {

/// One layer after another, with nothing taken together.
struct Watching : nn::Observer {
    Index seen = 0;
    void on_output(const void*, std::string_view, const AnyTensor&) override { ++seen; }
};

template <class... Layers>
Tensor<float, 4> one_by_one(const Tensor<float, 4>& x, const Layers&... layers) {
    const Watching watching;
    auto y = nn::chain_in_bands(x, layers...);
    CHECK(watching.seen == Index(sizeof...(Layers)));
    return y;
}
template <class... Layers>
void check_chain(const Tensor<float, 4>& x, const Layers&... layers) {
    const auto want = one_by_one(x, layers...);
    CHECK(test::max_error(nn::chain_in_bands(x, layers...), want) < 1e-5);
    CHECK(test::max_error(nn::chain(x, layers...), want) < 1e-5);
}

nn::Conv2d<> conv(random::Rng& rng, Index in, Index out, const nn::Conv2dConfig& config) {
    nn::Conv2d<> c(in, out, config);
    c.reset(rng);
    return c;
}

}  // namespace

TEST_CASE("chain_in_bands: as one layer after another, for large maps and small ones") {
    random::Rng rng(3);
    const auto expand = conv(rng, 6, 48, {.kernel = 1}),
               deep = conv(rng, 48, 48, {.kernel = 3, .padding = 1, .groups = 48}),
               half = conv(rng, 48, 48, {.kernel = 5, .stride = 2, .padding = 2, .groups = 48}),
               project = conv(rng, 48, 6, {.kernel = 1}),
               circular =
                   conv(rng, 48, 48, {.kernel = 3, .padding = 1, .groups = 48, .padding_mode = PadMode::circular});
    nn::BatchNorm2d<> norm(48);
    for (Index c = 0; c < 48; ++c) {
        norm.running_mean.mutable_data()[c] = 0.01F * float(c);
        norm.running_var.mutable_data()[c] = 1 + 0.1F * float(c);
    }
    for (const auto& [batch, side] : {std::pair<Index, Index>{1, 112}, {3, 64}, {2, 16}, {1, 7}}) {
        const auto x = test::wave<float>(Shape{batch, 6, side, side});
        const nn::Times factors(test::wave<float>(Shape{batch, 48, 1, 1}));
        check_chain(x, expand, norm, nn::ReLU{}, deep, norm, nn::Hardswish{}, project, nn::Plus{x}, nn::ReLU{});
        check_chain(x, expand, nn::ReLU{}, half, nn::Sigmoid{}, factors, project);
        check_chain(x, expand, nn::ReLU{}, circular, project);
        check_chain(x, expand, deep);
    }
}

TEST_CASE("chain_in_bands: a result goes where it belongs") {
    random::Rng rng(5);
    const auto expand = conv(rng, 4, 80, {.kernel = 1}),
               deep = conv(rng, 80, 80, {.kernel = 3, .padding = 1, .groups = 80});
    for (const Index side : {120, 8}) {
        const auto x = test::wave<float>(Shape{1, 4, side, side});
        auto all = full<float>(Shape{1, 82, side, side}, 7.0F);
        const auto part = slice(all, 1, 1, 81);
        nn::chain_in_bands(x, expand, nn::ReLU{}, deep, nn::Into{part});
        CHECK(test::max_error(part, nn::chain(x, expand, nn::ReLU{}, deep)) < 1e-5);
        CHECK(all(0, 0, side - 1, side - 1) == 7);
        CHECK(all(0, 81, 0, 0) == 7);
        const Watching watching;
        auto same = full<float>(Shape{1, 80, side, side}, 7.0F);
        nn::chain_in_bands(x, expand, nn::ReLU{}, deep, nn::Into{same});
        CHECK(test::max_error(part, same) < 1e-5);
    }
    const auto x = test::wave<float>(Shape{2, 4, 8, 8});
    CHECK_THROWS_WITH_AS(nn::chain(x, expand, nn::Into{zeros<float>(Shape{2, 80, 8, 9})}),
                         "Into: the place must have the shape of the input (input [2, 80, 8, 8], place [2, 80, 8, 9])",
                         ShapeError);
    CHECK_THROWS_WITH_AS(nn::Into{slice(zeros<float>(Shape{2, 82, 8, 8}), 1, 0, 80)},
                         "Into: the place must be dense (shape [2, 80, 8, 8])", ShapeError);
    CHECK_THROWS_WITH_AS(nn::chain(x, expand, nn::Times{zeros<float>(Shape{1, 80, 1, 1})}),
                         "Times: factors must have the shape [N, C, 1, 1] of the input (input [2, 80, 8, 8], factors "
                         "[1, 80, 1, 1])",
                         ShapeError);
}

TEST_CASE("Times: gradients of both") {
    const auto x = autograd::leaf(test::wave<float>(Shape{2, 3, 4, 5})),
               f = autograd::leaf(test::wave<float>(Shape{2, 3, 1, 1}));
    autograd::Tape tape;
    const auto y = nn::chain(x, nn::Times{f});
    tape.backward(y, ones<float>(y.shape()));
    CHECK(autograd::grad(x)(1, 2, 3, 4) == f(1, 2, 0, 0));
    double sum = 0;
    for (Index i = 0; i < 4; ++i)
        for (Index j = 0; j < 5; ++j) sum += double(x(1, 0, i, j));
    CHECK(double(autograd::grad(f)(1, 0, 0, 0)) == doctest::Approx(sum));
}
