#include <lamina/nn/chain.hpp>
#include <lamina/nn/deform_conv.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("DeformConv2d: torchvision's parameter names and shapes") {
    random::Rng rng(1);
    nn::DeformConv2d layer(8, 6, {.kernel = 3, .padding = 1, .groups = 2});
    nn::reset_parameters(layer, rng);
    CHECK(layer.weight.shape() == Shape{6, 4, 3, 3});
    const auto x = test::wave<float>(Shape{1, 8, 6, 7});
    const auto still = zeros<float>(Shape{1, 18, 6, 7});
    CHECK(test::max_error(layer(x, still), conv2d(x, layer.weight, layer.bias, {.padding = 1, .groups = 2})) < 1e-6);
    const auto half = full<float>(Shape{1, 9, 6, 7}, 0.5F);
    CHECK(test::max_error(layer(x, still, half),
                          deform_conv2d(x, still, layer.weight, layer.bias, {.padding = 1}, half)) == 0);
    CHECK(test::message_of<ValueError>([] { nn::DeformConv2d(8, 6, {.kernel = 3, .groups = 4}); }) ==
          "DeformConv2d: channels must divide into groups but are 8 and 6 in 4");
}

TEST_CASE("DCNv2: begins as half an ordinary convolution, with offset groups and stride") {
    random::Rng rng(2);
    nn::DCNv2 layer(4, 6, {.kernel = 3, .stride = 2, .padding = 1, .offset_groups = 2});
    nn::reset_parameters(layer, rng);
    CHECK(layer.conv_offset_mask.weight.shape() == Shape{54, 4, 3, 3});
    const auto x = test::wave<float>(Shape{2, 4, 7, 8});
    const auto whole = conv2d(x, layer.weight, {}, {.stride = 2, .padding = 1});
    const auto y = layer(x);
    REQUIRE(y.shape() == whole.shape());
    for (Index i = 0; i < y.numel(); ++i) CHECK(y.data()[i] == doctest::Approx(whole.data()[i] / 2).epsilon(1e-5));
    CHECK(test::message_of<ValueError>([] { nn::DCNv2(8, 6, {.kernel = 3, .groups = 2}); }) ==
          "DCNv2: groups must be 1 but are 2");
    CHECK(test::message_of<ValueError>([] { nn::DCNv2(8, 6, {.kernel = 3, .offset_groups = 3}); }) ==
          "DCNv2: channels must divide into offset groups but are 8 in 3");
}

TEST_CASE("DCNv2: golden values and gradients of CenterNet's layer") {
    for (const auto& c : test::golden_cases("centernet/dcn_layer")) {
        CAPTURE(c.name());
        nn::DCNv2 layer(4, 5, {.kernel = 3, .padding = 1});
        layer.weight.assign(c.tensor<float, 4>("param.weight"));
        layer.bias->assign(c.tensor<float, 1>("param.bias"));
        layer.conv_offset_mask.weight.assign(c.tensor<float, 4>("param.conv_offset_mask.weight"));
        layer.conv_offset_mask.bias->assign(c.tensor<float, 1>("param.conv_offset_mask.bias"));
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        test::check_golden(c, "y", layer(x));
        autograd::Tape tape;
        const auto y = layer(x);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_grad(c, "param.weight", autograd::grad(layer.weight));
        test::check_golden_grad(c, "param.bias", autograd::grad(*layer.bias));
        test::check_golden_grad(c, "param.conv_offset_mask.weight", autograd::grad(layer.conv_offset_mask.weight));
        test::check_golden_grad(c, "param.conv_offset_mask.bias", autograd::grad(*layer.conv_offset_mask.bias));
    }
}

TEST_CASE("DCNv2: the same with normalisation and activation fused, and after its weights changed") {
    random::Rng rng(4);
    nn::DCNv2 layer(5, 6, {.kernel = 3, .padding = 1});
    nn::BatchNorm2d norm(6);
    nn::reset_parameters(layer, rng);
    normal_(layer.conv_offset_mask.weight, rng, 0, 0.3);
    uniform_(norm.running_var, rng, 0.5, 2);
    uniform_(norm.running_mean, rng, -1, 1);
    uniform_(*layer.bias, rng, -1, 1);
    const auto x = test::wave<float>(Shape{2, 5, 7, 9});
    const auto apart = [&] {
        autograd::Tape tape{.training = false};
        return nn::ReLU{}(norm(layer(x))).detach();
    };
    for (int round = 0; round < 2; ++round) {
        CHECK(test::max_error(nn::chain(x, layer, norm, nn::ReLU{}), apart()) < 1e-5);
        CHECK(test::max_error(nn::chain(x, layer, nn::ReLU{}), nn::ReLU{}(layer(x))) == 0);
        CHECK(test::max_error(nn::chain(x, layer, norm), norm(layer(x))) < 1e-5);
        uniform_(layer.weight, rng, -1, 1);
    }
}
