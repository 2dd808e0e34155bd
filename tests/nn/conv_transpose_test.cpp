#include <lamina/nn/conv_transpose.hpp>
#include <lamina/nn/init_conv.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/ops/conv.hpp>
#include <lamina/ops/pixel_shuffle.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

auto recorded(const auto& network, const auto& x) {
    autograd::Tape tape{.training = false};
    return network(x);
}

}  // namespace

// Both run in the convolution.
static_assert(nn::detail::absorbed_count<nn::ConvTranspose2d<>, nn::BatchNorm2d<>, nn::ReLU>() == 2);

TEST_CASE("ConvTranspose2d: torch's parameter names, shapes and initial bounds") {
    random::Rng rng(1);
    nn::ConvTranspose2d layer(8, 6, {.kernel = {4, 3}, .stride = 2, .groups = 2});
    nn::reset_parameters(layer, rng);
    CHECK(layer.weight.shape() == Shape{8, 3, 4, 3});
    CHECK(layer.bias->shape() == Shape{6});
    const double bound = 1 / std::sqrt(3.0 * 12);
    double largest = 0;
    for (Index i = 0; i < layer.weight.numel(); ++i)
        largest = std::max(largest, std::abs(double(layer.weight.data()[i])));
    CHECK(largest <= bound);
    CHECK(largest > 0.9 * bound);
    CHECK(test::message_of<ValueError>([] { nn::ConvTranspose2d(8, 6, {.kernel = 3, .groups = 4}); }) ==
          "ConvTranspose2d: channels must divide into groups but are 8 and 6 in 4");
    CHECK(test::message_of<ValueError>([] { nn::ConvTranspose1d(8, 6, {.kernel = 3, .groups = 4}); }) ==
          "ConvTranspose1d: channels must divide into groups but are 8 and 6 in 4");
}

TEST_CASE("ConvTranspose2d: normalisation and activation fold into one call with the same numbers") {
    random::Rng rng(2);
    nn::Sequential net{nn::ConvTranspose2d(3, 4, {.kernel = 4, .stride = 2, .padding = 1}),
                       nn::BatchNorm2d(4),
                       nn::SiLU{},
                       nn::ConvTranspose2d(4, 6, {.kernel = 3, .stride = 2, .groups = 2}),
                       nn::ReLU{},
                       nn::ConvTranspose2d(6, 4, {.kernel = 2, .groups = 2, .bias = false}),
                       nn::BatchNorm2d(4)};
    nn::reset_parameters(net, rng);
    const auto x = test::wave<float>(Shape{2, 3, 4, 5});
    {
        autograd::Tape tape;  // moves the running statistics away from 0 and 1
        net(x);
    }
    CHECK(test::max_error(net(x), recorded(net, x)) < 5e-6);
    net.get<0>().weight.mutable_at(1, 2, 0, 1) += 1;  // prepared weights notice
    net.get<1>().running_var.mutable_at(2) *= 4;
    CHECK(test::max_error(net(x), recorded(net, x)) < 5e-6);
    const auto larger = test::wave<float>(Shape{1, 3, 9, 7});
    CHECK(test::max_error(net(larger), recorded(net, larger)) < 5e-6);
}

TEST_CASE("ConvTranspose2d: output_size and ConvTranspose1d") {
    random::Rng rng(3);
    nn::ConvTranspose2d layer(2, 3, {.kernel = 3, .stride = 2, .padding = 1});
    nn::reset_parameters(layer, rng);
    const auto x = test::wave<float>(Shape{1, 2, 4, 5});
    CHECK(layer(x).shape() == Shape{1, 3, 7, 9});
    const auto y = layer(x, {8, 9});
    CHECK(y.shape() == Shape{1, 3, 8, 9});
    CHECK(test::max_error(y, conv_transpose2d(x, layer.weight, layer.bias,
                                              {.stride = 2, .padding = 1, .output_padding = {1, 0}})) == 0);
    nn::ConvTranspose1d line(2, 3, {.kernel = 4, .stride = 3});
    nn::reset_parameters(line, rng);
    const auto sound = test::wave<float>(Shape{2, 2, 6});
    CHECK(line(sound).shape() == Shape{2, 3, 19});
    CHECK(test::max_error(line(sound), conv_transpose1d(sound, line.weight, line.bias, {.stride = 3})) == 0);
}

TEST_CASE("init: bilinear, ICNR and dirac weights") {
    nn::ConvTranspose2d up(3, 3, {.kernel = 4, .stride = 2, .padding = 1, .groups = 3, .bias = false});
    nn::init::bilinear(up.weight);
    const float row[] = {0.0625F, 0.1875F, 0.1875F, 0.0625F};
    for (Index j = 0; j < 4; ++j) CHECK(up.weight(2, 0, 0, j) == row[j]);
    const auto flat = up(ones<float>(Shape{1, 3, 5, 5}));  // a constant stays one away from the border
    for (Index i = 1; i < 9; ++i) CHECK(flat(0, 1, i, 4) == doctest::Approx(1));

    Tensor<float, 4> dense = zeros<float>(Shape{2, 3, 5, 5});  // an odd kernel, one output of three
    nn::init::bilinear(dense);
    CHECK(dense(1, 0, 2, 2) == doctest::Approx(1));
    CHECK(dense(1, 0, 1, 2) == doctest::Approx(2.0 / 3));
    CHECK(dense(1, 1, 2, 2) == 0);

    random::Rng rng(4);
    Tensor<float, 4> w = empty<float>(Shape{8, 3, 3, 3});
    nn::init::icnr(w, 2, [&](auto& filters) { nn::init::kaiming_normal(filters, rng); });
    const auto y = pixel_shuffle(conv2d(test::wave<float>(Shape{1, 3, 4, 4}), w, {}, {.padding = 1}), 2);
    for (Index i = 0; i < 8; ++i)
        for (Index j = 0; j < 8; ++j) CHECK(y(0, 1, i, j) == y(0, 1, i / 2 * 2, j / 2 * 2));
    CHECK(test::message_of<ShapeError>([&] { nn::init::icnr(w, 3, [](auto&) {}); }) ==
          "icnr: output channels must be a multiple of scale² = 9 but are 8 (weight [8, 3, 3, 3])");

    Tensor<float, 4> id = empty<float>(Shape{4, 2, 3, 5});
    nn::init::dirac(id, 2);
    const auto x = test::wave<float>(Shape{2, 4, 5, 6});
    CHECK(test::max_error(conv2d(x, id, {}, {.padding = {Padding(1), Padding(2)}, .groups = 2}), x) == 0);
    CHECK(test::message_of<ValueError>([&] { nn::init::dirac(id, 3); }) ==
          "dirac: output channels must divide into groups but are 4 in 3 (weight [4, 2, 3, 5])");
}
