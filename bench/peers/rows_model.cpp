// Whole models.
#include <lamina/models/mobilenet_v3.hpp>
#include <lamina/models/resnet.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;
namespace nn = lamina::nn;

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
    rows.push_back(network_row("ResNet-18 forward, 224", Network::Kind::resnet18, &lamina::models::resnet18<>,
                               Index(3'628'000'000)));
    rows.push_back(network_row("MobileNetV3-small forward, 224", Network::Kind::mobilenet_v3_small,
                               &lamina::models::mobilenet_v3_small, Index(113'000'000)));
}

}  // namespace peers
