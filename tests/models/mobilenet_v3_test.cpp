#include <lamina/models/mobilenet_v3.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/recipe.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("MobileNetV3: parameters counted as published, names of torchvision") {
    const auto net = models::mobilenet_v3_small();
    CHECK(nn::count_parameters(net) == 2542856);
    CHECK(nn::count_parameters(models::mobilenet_v3_large()) == 5483032);
    const auto state = nn::state_dict(net);
    for (const char* name : {"features.0.0.weight", "features.1.block.1.fc1.weight",
                             "features.4.block.3.1.running_mean", "features.12.1.bias", "classifier.3.weight"})
        CHECK(state.find(name) != nullptr);
    CHECK(models::InvertedResidual::divisible_by_8(22) == 24);
    CHECK(models::InvertedResidual::divisible_by_8(4) == 8);
    CHECK(models::InvertedResidual::divisible_by_8(60) == 64);
}

TEST_CASE("MobileNetV3: golden scores, fused and recorded (large)") {
    for (const auto& c : test::golden_case("backbone/mobilenet_v3_small")) {
        const auto net = models::mobilenet_v3_small();
        test::fill_by_recipe(nn::state_dict(net), c.number("recipe_gain", 1));
        const auto x = c.tensor<float, 4>("in.x");
        test::check_golden(c, "logits", net(x));
        autograd::Tape tape{.training = false};
        test::check_golden(c, "logits", net(x));
    }
}
