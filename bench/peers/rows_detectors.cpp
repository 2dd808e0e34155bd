// Detectors as whole networks: forward, and a step of training.
#include <lamina/models/centernet.hpp>
#include <lamina/models/centernet_loss.hpp>
#include <lamina/models/centernet_small.hpp>
#include <lamina/optim/adam.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;
namespace models = lamina::models;
namespace nn = lamina::nn;

/// Copies of a network's floating tensors.
template <class Model>
Weights weights_of(const Model& model) {
    Weights out;
    nn::for_each_tensor(model, [&](const std::string& name, const auto& value) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value.data()[0])>, float>) {
            Array<float> copy(value.numel());
            std::copy_n(value.data(), value.numel(), copy.data());
            std::vector<Index> shape;
            for (int d = 0; d < value.rank; ++d) shape.push_back(value.dim(d));
            out.emplace(name, Weight{shape, copy});
        }
    });
    return out;
}

/// Offsets of a fraction of a pixel up to several, as trained networks have them.
template <class Stage>
void draw_offsets(models::CenterNetNeck<Stage>& neck, lamina::random::Rng& rng) {
    if constexpr (requires(Stage stage) { stage.conv; })
        for (auto& stage : neck.stages) {
            auto& w = stage.conv.conv_offset_mask.weight;
            normal_(w, rng, 0, 1 / std::sqrt(double(w.numel() / w.dim(0))));
        }
}

template <class Stage>
Row forward_row(const char* name, bool deformable, double flops) {
    const CenterNetForward sizes{.deformable = deformable, .x = {}};
    return {name, arithmetic(flops), sizes.outputs(), 1e-3, [=] {
                using Model = models::CenterNetResNet<models::BasicBlock<>, Stage>;
                CenterNetForward p{.deformable = deformable};
                const std::array<Index, 4> blocks{2, 2, 2, 2};
                // Sizes and offsets begin with the layers' own distribution: small ones would not be compared.
                const auto model = std::make_shared<Model>(
                    blocks, models::CenterNetHeadsConfig{.classes = CenterNetForward::classes, .deviation = 0});
                lamina::random::Rng rng(1);
                nn::reset_parameters(*model, rng);
                draw_offsets(model->neck, rng);
                p.weights = weights_of(*model);
                const auto prepare = [=] {
                    const auto y = std::make_shared<models::CenterNetOutput>();
                    return Call{[=] {
                                    *y = (*model)(tensor(p.x, Shape{1, 3, p.size, p.size}));
                                },
                                [=](Index i) {
                                    const Index n = p.cells(), maps = CenterNetForward::classes * n;
                                    if (i < maps) return double(y->heat.data()[i]);
                                    return double(i < maps + 2 * n ? y->size.data()[i - maps]
                                                                   : y->offset.data()[i - maps - 2 * n]);
                                }};
                };
                return race(p, {{us, "models, fused", prepare}});
            }};
}

std::shared_ptr<models::SmallCenterNet> small_network() {
    const auto network = std::make_shared<models::SmallCenterNet>(
        models::CenterNetHeadsConfig{.classes = CenterNetStep::classes, .hidden = 32});
    lamina::random::Rng rng(1);
    nn::reset_parameters(*network, rng);
    return network;
}

/// Up to six boxes in each scene.
models::CenterNetTargets small_targets(const CenterNetStep& p) {
    std::vector<lamina::vision::Objects<float>> scenes;
    for (Index i = 0; i < p.batch; ++i) {
        const Index count = 1 + i % 6;
        lamina::vision::Objects<float> all;
        all.boxes = lamina::empty<float>(Shape{count, 4});
        all.classes = lamina::empty<Index>(Shape{count});
        for (Index k = 0; k < count; ++k) {
            const float x = float((i * 37 + k * 23) % 80), y = float((i * 19 + k * 31) % 80);
            const float w = float(16 + (i * 7 + k * 11) % 32), h = float(16 + (i * 5 + k * 13) % 32);
            const float box[] = {x, y, x + w, y + h};
            for (Index d = 0; d < 4; ++d) all.boxes.mutable_at(k, d) = box[d];
            all.classes.mutable_at(k) = (i + 3 * k) % CenterNetStep::classes;
        }
        scenes.push_back(all);
    }
    const models::CenterNetTargetOptions options{.classes = CenterNetStep::classes, .map = p.size / 4, .most = p.most};
    return models::centernet_targets(scenes, options);
}

Contestants step_race() {
    CenterNetStep p;
    const auto t = small_targets(p);
    const auto copied = []<class T, int R>(const lamina::Tensor<T, R>& from) {
        Array<T> to(from.numel());
        std::copy_n(from.data(), from.numel(), to.data());
        return to;
    };
    p.heat = copied(t.heat), p.mask = copied(t.mask), p.sizes = copied(t.size), p.offsets = copied(t.offset);
    p.places = copied(t.places);
    p.weights = weights_of(*small_network());
    const auto prepare = [=] {
        const auto network = small_network();
        const lamina::optim::AdamWOptions options{.learning_rate = p.learning_rate, .weight_decay = p.weight_decay};
        const auto optimizer = std::make_shared<lamina::optim::AdamW>(nn::parameters(*network), options);
        return TrainingStep::call([=] {
            lamina::autograd::Tape tape;
            const auto y = (*network)(tensor(p.images, Shape{p.batch, 3, p.size, p.size}));
            const auto loss = models::centernet_loss(y, t).total;
            tape.backward(loss);
            optimizer->step();
            return double(loss.item());
        });
    };
    return race(p, {{us, "models::centernet_loss, optim::AdamW", prepare}});
}

}  // namespace

void add_detector_rows(Rows& rows) {
    rows.push_back(forward_row<models::UpStage>("ResNet-18 CenterNet forward, 512", false, 45.4e9));
    rows.push_back(forward_row<models::DeformableUpStage>("ResDCN-18 CenterNet forward, 512", true, 26.6e9));
    rows.push_back({"small CenterNet training step, 128x128, batch 16",
                    {.items = {16, "images"}},
                    TrainingStep::compared,
                    1e-3,
                    &step_race});
}

}  // namespace peers
