// The detector of examples/detect.cpp, with random weights.
#include <lamina/models/centernet_mobilenet.hpp>
#include <lamina/nn/init.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {

void add_centernet_mobilenet_rows(Rows& rows) {
    using lamina::Shape;
    rows.push_back({"MobileNetV3-CenterNet forward, 512", arithmetic(2.0 * 1'295'249'792), 84 * 128 * 128, 1e-3, [] {
                        CenterNetMobileNet p;
                        const auto model = std::make_shared<lamina::models::CenterNetMobileNet>();
                        lamina::random::Rng rng(1);
                        lamina::nn::reset_parameters(*model, rng);
                        lamina::nn::for_each_tensor(*model, [&](const std::string& key, auto& value) {
                            // Activations keep their size from layer to layer, so that agreement means something.
                            if (key.ends_with(".weight"))
                                for (Index i = 0; i < value.numel(); ++i) value.mutable_data()[i] *= 2;
                            Array<float> copy(value.numel());
                            std::copy_n(value.data(), value.numel(), copy.data());
                            p.weights.emplace(key, copy);
                        });
                        const auto x = tensor(p.x, Shape{Index(1), Index(3), p.size, p.size});
                        return race(p, {ours("models, fused", [p, model, x] {
                                        const auto y = (*model)(x);
                                        return lamina::cat({y.keypoints, y.sides}, 1);
                                    })});
                    }});
}

}  // namespace peers
