#include <lamina/models/resnet.hpp>
#include <lamina/ops/slice.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/recipe.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// ResNet-18 with as many classes as the case's result `name` has.
auto recipe_resnet18(const test::GoldenCase& c, const std::string& name = "logits") {
    auto net = models::resnet18(c.any("out." + name).shape()[1]);
    test::fill_by_recipe(nn::state_dict(net), c.number("recipe_gain", 1));
    return net;
}

/// The first channels of a feature map: what the golden file keeps.
Tensor<float, 4> first_channels(const Tensor<float, 4>& x, Index count) {
    return contiguous(narrow(x, 1, 0, std::min(count, x.dim(1))));
}

}  // namespace

TEST_CASE("ResNet: parameters counted as published, names of torchvision") {
    const auto small = models::resnet18();
    CHECK(nn::count_parameters(small) == 11689512);
    CHECK(nn::count_parameters(models::resnet50()) == 25557032);
    const auto state = nn::state_dict(small);
    for (const char* name : {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight",
                             "layer2.0.downsample.1.num_batches_tracked", "layer4.1.bn2.bias", "fc.bias"})
        CHECK(state.find(name) != nullptr);
    CHECK(nn::parameters(models::resnet18<nn::FrozenBatchNorm2d<>>()).size() == 22);
}

TEST_CASE("ResNet: golden feature maps and scores (large)") {
    for (const auto& c : test::golden_case("backbone/resnet18")) {
        const auto net = recipe_resnet18(c);
        const auto x = c.tensor<float, 4>("in.x");
        const auto f = net.features(x);
        const char* names[] = {"c2", "c3", "c4", "c5"};
        for (std::size_t i = 0; i < 4; ++i) test::check_golden(c, names[i], first_channels(f[i], 64));
        test::check_golden(c, "logits", net(x));
    }
}

TEST_CASE("ResNet: golden gradient of the image (large)") {
    for (const auto& c : test::golden_case("backbone/resnet18_input_gradient")) {
        const auto net = recipe_resnet18(c, "y");
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        autograd::Tape tape{.training = false};
        const auto y = net(x);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 2>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}

TEST_CASE("ResNet: golden training pass and running statistics (large)") {
    for (const auto& c : test::golden_case("backbone/resnet18_train_mode")) {
        const auto net = recipe_resnet18(c);
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        autograd::Tape tape;
        const auto y = net(x);
        test::check_golden(c, "logits", y);
        test::check_golden(c, "rm", net.bn1.running_mean);
        test::check_golden(c, "rv", net.bn1.running_var);
        test::check_golden(c, "rm4", net.layer4.back().bn2.running_mean);
        test::check_golden(c, "rv4", net.layer4.back().bn2.running_var);
        tape.backward(y, c.tensor<float, 2>("r.logits"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
    }
}
