// Training from end to end: forward, loss, backward and optimizer, in images or tokens per second.
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/models/resnet.hpp>
#include <lamina/nn/embedding.hpp>
#include <lamina/nn/positions/learned.hpp>
#include <lamina/nn/transformer.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/sgd.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;
namespace nn = lamina::nn;

auto quickstart() {
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
auto resnet18() { return lamina::models::resnet18<>(10); }

/// Scores of the next byte, after each byte.
struct LanguageModel {
    static constexpr std::string_view kind = "LanguageModel";
    using Step = TrainingStep;
    using Layer = nn::TransformerEncoderLayer<float, nn::GELU>;
    nn::Embedding<> tokens{Step::vocabulary, Step::width};
    nn::LearnedPositions<> positions{Step::context, Step::width};
    nn::TransformerEncoder<Layer> encoder{
        Step::layers,
        [] {
            return Layer(Step::width, Step::heads,
                         {.dim_feedforward = 4 * Step::width, .dropout = 0, .batch_first = true, .norm_first = true});
        },
        nn::LayerNorm<>(Step::width)};
    nn::Linear<> head{Step::width, Step::vocabulary};

    lamina::Tensor<float, 3> operator()(const lamina::Tensor<Index, 2>& bytes) const {
        return head(encoder(positions(tokens(bytes)), {.is_causal = true}));
    }
    static void members(auto& self, auto&& visit) {
        visit("tokens", self.tokens);
        visit("positions", self.positions);
        visit("encoder", self.encoder);
        visit("head", self.head);
    }
};

template <class Make>
auto initialized(Make make) {
    const auto network = std::make_shared<decltype(make())>(make());
    lamina::random::Rng rng(1);
    nn::reset_parameters(*network, rng);
    return network;
}

/// The initial parameters of the same network, for the others.
template <class Make>
void share_weights(TrainingStep& p, Make make) {
    for (const auto& [name, parameter] : nn::parameters(*initialized(make))) {
        Array<float> copy(parameter.numel());
        std::copy_n(reinterpret_cast<const float*>(parameter.data()), copy.size(), copy.data());
        p.weights.emplace(name, copy);
    }
}

/// `loss_of(network)` computes the loss.
template <class Optimizer, class Make, class Loss>
Contestant ours_for(std::string name, typename Optimizer::Options options, Make make, Loss loss_of) {
    return {us, std::move(name), [=] {
                const auto network = initialized(make);
                const auto optimizer = std::make_shared<Optimizer>(nn::parameters(*network), options);
                return TrainingStep::call([=] {
                    lamina::autograd::Tape tape;
                    const auto loss = loss_of(*network);
                    tape.backward(loss);
                    optimizer->step();
                    return double(loss.item());
                });
            }};
}

lamina::optim::AdamWOptions adamw(const TrainingStep& p) {
    return {.learning_rate = p.learning_rate, .weight_decay = p.weight_decay};
}

Contestants quickstart_race(TrainingStep p) {
    share_weights(p, &quickstart);
    const auto loss = [p](const auto& network) {
        return lamina::losses::cross_entropy(network(tensor(p.images, Shape{p.batch, 1, 28, 28})),
                                             tensor(p.labels, Shape{p.batch}));
    };
    return race(p, {ours_for<lamina::optim::AdamW>("Sequential, optim::AdamW", adamw(p), &quickstart, loss)});
}

Contestants resnet18_race(TrainingStep p) {
    share_weights(p, &resnet18);
    const lamina::optim::SGDOptions sgd{.learning_rate = p.learning_rate, .momentum = p.momentum};
    const auto loss = [p](const auto& network) {
        return lamina::losses::cross_entropy(network(tensor(p.images, Shape{p.batch, 3, 32, 32})),
                                             tensor(p.labels, Shape{p.batch}));
    };
    return race(p, {ours_for<lamina::optim::SGD>("models::resnet18, optim::SGD", sgd, &resnet18, loss)});
}

Contestants language_model_race(TrainingStep p) {
    const auto make = [] { return LanguageModel(); };
    share_weights(p, make);
    const auto loss = [p](const LanguageModel& network) {
        const auto bytes = tensor(p.bytes, Shape{p.batch, TrainingStep::context + 1});
        const auto given = contiguous(slice(bytes, 1, 0, TrainingStep::context));
        const auto next = contiguous(slice(bytes, 1, 1, TrainingStep::context + 1));
        const Index rows = next.numel();
        return lamina::losses::cross_entropy(reshape(network(given), Shape{rows, TrainingStep::vocabulary}),
                                             reshape(next, Shape{rows}));
    };
    return race(p, {ours_for<lamina::optim::AdamW>("nn::TransformerEncoder, optim::AdamW", adamw(p), make, loss)});
}

Row training_row(const char* name, TrainingStep::Network network, Index batch, Items items,
                 Contestants (*contestants)(TrainingStep)) {
    return {name, {.items = items}, TrainingStep::compared, 1e-3, [=] {
                return contestants({.network = network, .batch = batch});
            }};
}

}  // namespace

void add_end_to_end_rows(Rows& rows) {
    using Network = TrainingStep::Network;
    rows.push_back(training_row("quickstart training step, batch 128", Network::quickstart, 128, {128, "images"},
                                &quickstart_race));
    rows.push_back(training_row("ResNet-18 training step, 32x32, batch 128", Network::resnet18, 128, {128, "images"},
                                &resnet18_race));
    rows.push_back(training_row("6-layer language model training step, 16 x 256 bytes", Network::language_model, 16,
                                {16 * 256, "tokens"}, &language_model_race));
}

}  // namespace peers
