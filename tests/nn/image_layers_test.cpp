#include <lamina/nn/conv1d.hpp>
#include <lamina/nn/conv3d.hpp>
#include <lamina/nn/prelu.hpp>
#include <lamina/nn/squeeze_excitation.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("SqueezeExcitation: golden values and gradients") {
    for (const auto& c : test::golden_cases("vision/squeeze_excitation")) {
        CAPTURE(c.name());
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        nn::SqueezeExcitation<> layer(x.dim(1), c.any("param.fc1.weight").shape()[0]);
        nn::for_each_tensor(
            layer, [&](const std::string& name, auto& tensor) { AnyTensor(tensor).assign(c.any("param." + name)); });
        CHECK(test::max_error(layer(x), c.tensor<float, 4>("out.y")) < 1e-5);
        autograd::Tape tape;
        const auto y = layer(x);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        nn::for_each_tensor(layer, [&](const std::string& name, auto& tensor) {
            test::check_golden_grad(c, "param." + name, autograd::grad(tensor));
        });
    }
}

TEST_CASE("PReLU: golden values and gradients") {
    for (const auto& c : test::golden_cases("ops/prelu")) {
        CAPTURE(c.name());
        const auto weight = c.tensor<float, 1>("in.weight");
        nn::PReLU layer(weight.dim(0));
        AnyTensor(layer.weight).assign(AnyTensor(weight));
        const auto run = [&]<int R>(std::integral_constant<int, R>) {
            const auto x = autograd::leaf(c.tensor<float, R>("in.x"));
            autograd::Tape tape;
            const auto y = layer(x);
            test::check_golden(c, "y", y);
            tape.backward(y, c.tensor<float, R>("r.y"));
            test::check_golden_grad(c, "in.x", autograd::grad(x));
            test::check_golden_grad(c, "in.weight", autograd::grad(layer.weight));
        };
        if (c.rank("in.x") == 2) run(std::integral_constant<int, 2>{});
        else if (c.rank("in.x") == 3) run(std::integral_constant<int, 3>{});
        else run(std::integral_constant<int, 4>{});
    }
}

TEST_CASE("Conv1d, Conv3d: the ops with the layer's own parameters") {
    random::Rng rng(1);
    nn::Conv1d line(2, 4, {.kernel = 3, .padding = 1, .padding_mode = PadMode::circular});
    nn::Conv3d volume(1, 2, {.kernel = {1, 2, 3}, .padding = {0, 1, 0}});
    line.reset(rng);
    volume.reset(rng);
    const auto sequence = test::wave<float>(Shape{2, 2, 6});
    CHECK(test::max_error(line(sequence),
                          conv1d(pad(sequence, {1, 1}, {.mode = PadMode::circular}), line.weight, line.bias)) < 1e-6);
    const auto block = test::wave<float>(Shape{1, 1, 2, 3, 4});
    CHECK(volume(block).shape() == Shape{1, 2, 2, 4, 2});
    CHECK(nn::parameters(volume).size() == 2);
    CHECK(test::message_of<ValueError>([] { nn::Conv1d(3, 4, {.kernel = 3, .groups = 2}); }) ==
          "Conv1d: channels must divide into groups but are 3 and 4 in 2");
    CHECK(test::message_of<ValueError>([] { nn::Conv3d(4, 3, {.kernel = 3, .groups = 2}); }) ==
          "Conv3d: channels must divide into groups but are 4 and 3 in 2");
}
