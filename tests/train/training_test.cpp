#include <lamina/losses/cross_entropy.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/clip.hpp>
#include <lamina/optim/sgd.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Twelve steps of a small network, as the reference took them; returns the loss of each.
template <class Optimizer, class Options>
Tensor<float, 1> train(const test::GoldenCase& c, auto& network, const Options& options) {
    Optimizer optimizer{nn::parameters(network), options};
    const auto images = c.tensor<float, 5>("in.x");
    const auto targets = c.tensor<std::int64_t, 2>("in.target");
    auto losses = empty<float>(Shape{images.dim(0)});
    for (Index step = 0; step < images.dim(0); ++step) {
        autograd::Tape tape;
        const auto loss = losses::cross_entropy(network(view::select(images, 0, step)), view::select(targets, 0, step),
                                                {.label_smoothing = 0.1});
        tape.backward(loss);
        optim::clip_grad_norm_(nn::parameters(network), 1.0);
        optimizer.step();
        losses.mutable_at(step) = loss.item();
    }
    return losses;
}

}  // namespace

TEST_CASE("training: losses and weights follow the reference step by step") {
    for (const auto& c : test::golden_cases("train")) {
        CAPTURE(c.name());
        nn::Sequential network{nn::Conv2d(2, 6, {.kernel = 3, .padding = 1}),
                               nn::ReLU{},
                               nn::MaxPool2d{{.kernel = 2}},
                               nn::Conv2d(6, 8, {.kernel = 3, .stride = 2, .padding = 1}),
                               nn::GELU{},
                               nn::Flatten{},
                               nn::Linear(32, 5)};
        nn::load_state_dict(network, c.tensors(), {.strict = false, .prefix = "param."});
        if (c.meta("optimizer") == "AdamW lr 0.01 wd 0.05")
            test::check_golden(
                c, "loss",
                train<optim::AdamW>(c, network, optim::AdamWOptions{.learning_rate = 0.01, .weight_decay = 0.05}));
        else if (c.meta("optimizer") == "SGD lr 0.1 momentum 0.9")
            test::check_golden(c, "loss",
                               train<optim::SGD>(c, network, optim::SGDOptions{.learning_rate = 0.1, .momentum = 0.9}));
        else continue;
        for (const auto& [name, tensor] : nn::state_dict(network)) test::check_golden(c, "param." + name, tensor);
    }
}
