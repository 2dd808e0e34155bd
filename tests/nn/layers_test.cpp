#include <lamina/nn/conv.hpp>
#include <lamina/nn/dropout.hpp>
#include <lamina/nn/embedding.hpp>
#include <lamina/nn/layer_norm.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/permute.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// What `network` gives while a tape records, with the statistics of evaluation.
auto recorded(const auto& network, const auto& x) {
    autograd::Tape tape{.training = false};
    return network(x);
}

}  // namespace

// The activation runs in the product.
static_assert(nn::detail::absorbed_count<nn::Linear<>, nn::ReLU, nn::Dropout>() == 1);
static_assert(nn::detail::absorbed_count<nn::Linear<>, nn::Dropout>() == 0);

TEST_CASE("Conv2d: normalisation and activation fold into one call with the same numbers") {
    random::Rng rng(2);
    nn::Sequential net{nn::Conv2d(3, 5, {.kernel = 3, .padding = 1}),
                       nn::BatchNorm2d(5),
                       nn::SiLU{},
                       nn::Conv2d(5, 4, {.kernel = 1, .bias = false}),
                       nn::BatchNorm2d(4, {.affine = false}),
                       nn::Conv2d(4, 2, {.kernel = 3, .groups = 2}),
                       nn::ReLU{}};
    nn::reset_parameters(net, rng);
    const auto x = test::wave<float>(Shape{2, 3, 6, 7});
    {
        autograd::Tape tape;  // moves the running statistics away from 0 and 1
        net(x);
    }
    CHECK(net.get<1>().num_batches_tracked.item() == 1);
    CHECK(net.get<1>().running_mean(0) != 0);
    CHECK(test::max_error(net(x), recorded(net, x)) < 2e-6);
    const auto before = net(x);
    net.get<1>().running_var.mutable_at(2) *= 4;  // the folded weight notices every one of its sources
    CHECK(test::max_error(net(x), before) > 1e-4);
    CHECK(test::max_error(net(x), recorded(net, x)) < 2e-6);
    net.get<1>().bias->mutable_at(1) += 1;
    CHECK(test::max_error(net(x), recorded(net, x)) < 2e-6);
}

TEST_CASE("chain: a residual sum runs in the convolution's epilogue with the same numbers") {
    random::Rng rng(3);
    nn::Conv2d conv(4, 4, {.kernel = 3, .padding = 1});
    nn::BatchNorm2d norm(4);
    nn::reset_parameters(conv, rng);
    norm.running_mean.mutable_at(1) = 0.5F;
    const auto x = test::wave<float>(Shape{2, 4, 5, 6});
    const auto turned = permute(test::wave<float>(Shape{6, 5, 4, 2}), {3, 2, 1, 0});
    const auto block = [&](const auto& t) { return nn::chain(t, conv, norm, nn::Plus{t}, nn::ReLU{}, conv); };
    CHECK(test::max_error(block(x), recorded(block, x)) < 2e-6);
    CHECK(test::max_error(block(turned), recorded(block, turned)) < 2e-6);
    const auto bare = [&](const auto& t) { return nn::chain(t, conv, nn::Plus{t}); };
    CHECK(test::max_error(bare(x), conv2d(x, conv.weight, conv.bias, conv.options) + x) < 2e-6);
    CHECK(test::bitwise_equal(nn::chain(x), x));
    const nn::Plus wrong{zeros<float>(Shape{2, 4, 5, 5})};
    const char* text = "Plus: both must have the same shape (input [2, 4, 5, 6], addend [2, 4, 5, 5])";
    CHECK(test::message_of<ShapeError>([&] { nn::chain(x, conv, wrong); }) == text);
    CHECK(test::message_of<ShapeError>([&] { wrong(x); }) == text);
}

TEST_CASE("Conv2d: margins of other kinds fuse too") {
    random::Rng rng(5);
    nn::Sequential net{nn::Conv2d(2, 3, {.kernel = 3, .padding = 1, .padding_mode = PadMode::reflect}), nn::ReLU{}};
    nn::reset_parameters(net, rng);
    const auto x = test::wave<float>(Shape{1, 2, 4, 5});
    CHECK(test::max_error(net(x), recorded(net, x)) < 2e-6);
    const nn::Conv2d wrong(2, 3,
                           {.kernel = 3, .stride = 2, .padding = Padding::same(), .padding_mode = PadMode::reflect});
    const char* text = "conv2d: padding to the same size needs stride 1 but stride is 2x2";
    CHECK(test::message_of<ValueError>([&] { wrong(x); }) == text);
    CHECK(test::message_of<ValueError>([&] { recorded(wrong, x); }) == text);
}

TEST_CASE("BatchNorm2d: learns running statistics in training, keeps them in evaluation and when frozen") {
    nn::BatchNorm2d norm(2, {.momentum = 1});
    const auto x = test::wave<float>(Shape{4, 2, 3, 3});
    const auto mean_of = [&](Index c) {
        double sum = 0;
        test::for_each_index(x.shape(),
                             [&](std::array<Index, 4> at) { sum += at[1] == c ? x(at[0], c, at[2], at[3]) : 0; });
        return sum / 36;
    };
    {
        autograd::Tape tape;
        norm(x);
    }
    CHECK(norm.running_mean(0) == doctest::Approx(mean_of(0)).epsilon(1e-5));
    CHECK(norm.running_mean(1) == doctest::Approx(mean_of(1)).epsilon(1e-5));
    const auto kept = norm.running_mean.clone();
    norm(x * 2);
    {
        autograd::Tape tape{.training = false};
        norm(x * 2);
    }
    nn::freeze(norm);
    {
        autograd::Tape tape;
        norm(x * 2);
    }
    CHECK(test::bitwise_equal(norm.running_mean, kept));
    CHECK(norm.num_batches_tracked.item() == 1);
}

TEST_CASE("Dropout: the identity but in training; the tape's generator decides") {
    const nn::Dropout dropout{0.25};
    const auto x = ones<float>(Shape{100, 100});
    CHECK(test::bitwise_equal(dropout(x), x));
    const auto drop = [&](std::uint64_t seed) {
        random::Rng rng(seed);
        autograd::Tape tape{.generator = &rng};
        return dropout(x);
    };
    const auto y = drop(1);
    CHECK(test::bitwise_equal(y, drop(1)));
    CHECK_FALSE(test::bitwise_equal(y, drop(2)));
    Index kept = 0;
    for (float v : y.span()) {
        CHECK((v == 0 || v == doctest::Approx(1 / 0.75)));
        kept += v != 0;
    }
    CHECK(kept > 7300);
    CHECK(kept < 7700);
}

TEST_CASE("LayerNorm, Embedding: the ops with the layer's own parameters") {
    random::Rng rng(4);
    nn::LayerNorm norm(6);
    nn::Embedding table(5, 6, {.padding_idx = 2});
    nn::reset_parameters(table, rng);
    const Tensor<std::int64_t, 2> index{{0, 2}, {4, 4}};
    autograd::Tape tape;
    const auto y = norm(table(index));
    CHECK(y.shape() == Shape{2, 2, 6});
    CHECK(y(0, 1, 3) == 0);
    float sum = 0;
    for (Index i = 0; i < 6; ++i) sum += y(1, 0, i);
    CHECK(sum == doctest::Approx(0).epsilon(1e-5));
    tape.backward(y, test::wave<float>(y.shape()));
    CHECK(autograd::has_grad(*norm.weight));
    const auto grad = autograd::grad(table.weight);
    CHECK(grad(2, 0) == 0);
    CHECK(grad(1, 0) == 0);
    CHECK(grad(4, 0) != 0);
}

TEST_CASE("Conv2d: channels that do not divide into the groups are named") {
    CHECK(test::message_of<ValueError>([] { nn::Conv2d(3, 4, {.kernel = 1, .groups = 2}); }) ==
          "Conv2d: channels must divide into groups but are 3 and 4 in 2");
}
