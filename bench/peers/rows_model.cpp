// Whole models.
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/models/mobilenet_v3.hpp>
#include <lamina/models/resnet.hpp>
#include <lamina/nn/batch_norm.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/optim/adam.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;
namespace nn = lamina::nn;

auto quickstart_network() {
    return nn::Sequential{nn::Conv2d(1, 16, {.kernel = 3, .padding = 1}),
                          nn::BatchNorm2d(16),
                          nn::ReLU{},
                          nn::MaxPool2d{{.kernel = 2}},
                          nn::Conv2d(16, 32, {.kernel = 3, .padding = 1}),
                          nn::BatchNorm2d(32),
                          nn::ReLU{},
                          nn::MaxPool2d{{.kernel = 2}},
                          nn::Flatten{},
                          nn::Linear(32 * 7 * 7, 128),
                          nn::ReLU{},
                          nn::Linear(128, 10)};
}

Contestant ours_for(const NetworkStep& p) {
    return {us, "Sequential, optim::AdamW", [p] {
                const auto network = std::make_shared<decltype(quickstart_network())>(quickstart_network());
                for (auto& [name, tensor] : nn::parameters(*network)) {
                    // Weights of more than one dimension are drawn; scales of normalisation are 1, all else 0.
                    const bool scale = name == "1.weight" || name == "5.weight", drawn = tensor.rank() > 1;
                    NetworkStep::initialize(reinterpret_cast<float*>(tensor.mutable_data()), tensor.numel(),
                                            drawn ? tensor.numel() / tensor.shape()[0] : 0, scale ? 1 : 0);
                }
                const lamina::optim::AdamWOptions options{.learning_rate = p.learning_rate,
                                                          .weight_decay = p.weight_decay};
                const auto optimizer = std::make_shared<lamina::optim::AdamW>(nn::parameters(*network), options);
                const auto images = tensor(p.images, Shape{p.batch, 1, 28, 28});
                const auto labels = tensor(p.labels, Shape{p.batch});
                const auto loss = std::make_shared<double>();
                const auto run = [=] {
                    lamina::autograd::Tape tape;
                    const auto y = lamina::losses::cross_entropy((*network)(images), labels);
                    tape.backward(y);
                    optimizer->step();
                    *loss = double(y.item());
                };
                return Call{run, [=](Index) { return *loss; }};
            }};
}

template <class Model>
Row network_row(const char* name, Network::Kind kind, Model (*make)(Index), Index flops) {
    return {.name = name, .limit = arithmetic(double(flops)), .outputs = 1000, .tolerance = 1e-3, .contestants = [=] {
                Network p{.kind = kind};
                const auto model = std::make_shared<Model>(make(1000));
                lamina::random::Rng rng(1);
                nn::reset_parameters(*model, rng);
                nn::for_each_tensor(*model, [&](const std::string& key, const auto& value) {
                    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value.data()[0])>, float>) {
                        Array<float> copy(value.numel());
                        std::copy_n(value.data(), value.numel(), copy.data());
                        p.weights.emplace(key, copy);
                    }
                });
                const auto x = tensor(p.x, Shape{Index(1), Index(3), p.size, p.size});
                return race(p, {ours("models, fused", [=] { return (*model)(x); })});
            }};
}

}  // namespace

void add_model_rows(Rows& rows) {
    rows.push_back({"quickstart training step, batch 128", {}, 1, 1e-4, [] {
                        const NetworkStep p{.batch = 128};
                        return race(p, {ours_for(p)});
                    }});
    rows.push_back(network_row("ResNet-18 forward, 224", Network::Kind::resnet18, &lamina::models::resnet18<>,
                               Index(3'628'000'000)));
    rows.push_back(network_row("MobileNetV3-small forward, 224", Network::Kind::mobilenet_v3_small,
                               &lamina::models::mobilenet_v3_small, Index(113'000'000)));
}

}  // namespace peers
