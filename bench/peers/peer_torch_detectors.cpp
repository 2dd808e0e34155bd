// libtorch's operators, and torchvision's deformable convolution where its library is installed, put together to
// CenterNets: forward with the normalisations folded in beforehand, and a step of training.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/optim/adamw.h>

#include "peer_torch.hpp"

namespace peers::libtorch {
namespace {

at::Tensor named(const Weights& weights, const std::string& name) {
    const Weight& w = weights.at(name);
    return wrap(w.values, w.shape);
}
bool has(const Weights& weights, const std::string& name) { return weights.count(name) != 0; }

/// Convolutions with the normalisations behind them folded in.
class Folded {
public:
    Folded(const CenterNetForward& p, at::MemoryFormat format) : weights_(p.weights), format_(format) {
        fold("conv1", "bn1");
        for (const std::string& block : blocks()) {
            fold(block + ".conv1", block + ".bn1");
            fold(block + ".conv2", block + ".bn2");
            if (has(weights_, block + ".downsample.0.weight")) fold(block + ".downsample.0", block + ".downsample.1");
        }
        for (Index at = 0; at < (p.deformable ? 18 : 9); at += 3)
            fold("deconv_layers." + std::to_string(at), "deconv_layers." + std::to_string(at + 1),
                 !p.deformable || at % 6 == 3);
        for (const char* head : {"hm", "wh", "reg"})
            for (const char* part : {".0", ".2"}) keep(std::string(head) + part);
        if (p.deformable)
            for (Index at = 0; at < 18; at += 6) keep("deconv_layers." + std::to_string(at) + ".conv_offset_mask");
    }
    static std::vector<std::string> blocks() {
        std::vector<std::string> names;
        for (int layer = 1; layer <= 4; ++layer)
            for (int i = 0; i < 2; ++i) names.push_back("layer" + std::to_string(layer) + "." + std::to_string(i));
        return names;
    }

    at::Tensor conv(const at::Tensor& x, const std::string& name, Index stride = 1) const {
        const auto& f = folded_.at(name);
        return at::conv2d(x, f.weight, f.bias, stride, f.weight.size(2) / 2);
    }
    at::Tensor up(const at::Tensor& x, const std::string& name) const {
        const auto& f = folded_.at(name);
        return at::conv_transpose2d(x, f.weight, f.bias, 2, 1);
    }
    at::Tensor deformed(const at::Tensor& x, const std::string& name) const {
        const auto& f = folded_.at(name);
        const auto predicted = conv(x, name + ".conv_offset_mask");
        const std::int64_t one = 1;
        const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("torchvision::deform_conv2d", "");
        torch::jit::Stack stack{x,
                                f.weight,
                                predicted.slice(1, 0, 18),
                                predicted.slice(1, 18).sigmoid(),
                                f.bias,
                                one,
                                one,
                                one,
                                one,
                                one,
                                one,
                                one,
                                one,
                                true};
        op.callBoxed(&stack);
        return stack.front().toTensor();
    }

private:
    struct Convolution {
        at::Tensor weight, bias;
    };
    void fold(const std::string& conv, const std::string& norm, bool transposed = false) {
        const auto scale = named(weights_, norm + ".weight") / at::sqrt(named(weights_, norm + ".running_var") + 1e-5);
        auto shift = named(weights_, norm + ".bias") - named(weights_, norm + ".running_mean") * scale;
        if (has(weights_, conv + ".bias")) shift = shift + named(weights_, conv + ".bias") * scale;
        const auto factor = transposed ? scale.view({1, -1, 1, 1}) : scale.view({-1, 1, 1, 1});
        folded_[conv] = {(named(weights_, conv + ".weight") * factor).contiguous(format_), shift};
    }
    void keep(const std::string& conv) {
        folded_[conv] = {named(weights_, conv + ".weight").contiguous(format_), named(weights_, conv + ".bias")};
    }
    Weights weights_;
    at::MemoryFormat format_;
    std::map<std::string, Convolution> folded_;
};

at::Tensor centernet(const Folded& w, const at::Tensor& image, bool deformable) {
    auto x = at::max_pool2d(w.conv(image, "conv1", 2).relu_(), {3, 3}, {2, 2}, {1, 1});
    for (const std::string& block : Folded::blocks()) {
        const bool down = block != "layer1.0" && block.back() == '0';
        auto y = w.conv(x, block + ".conv1", down ? 2 : 1).relu_();
        y = w.conv(y, block + ".conv2");
        x = y.add_(down ? w.conv(x, block + ".downsample.0", 2) : x).relu_();
    }
    for (int stage = 0; stage < 3; ++stage) {
        const auto name = [&](int layer) { return "deconv_layers." + std::to_string(layer); };
        if (deformable) x = w.deformed(x, name(6 * stage)).relu_();
        x = w.up(x, name(deformable ? 6 * stage + 3 : 3 * stage)).relu_();
    }
    const auto head = [&](const std::string& name) { return w.conv(w.conv(x, name + ".0").relu_(), name + ".2"); };
    return at::cat({head("hm").flatten(), head("wh").flatten(), head("reg").flatten()});
}

/// The network of examples/train_centernet.cpp with parameters that learn.
class SmallCenterNet {
public:
    SmallCenterNet(const CenterNetStep& p, at::MemoryFormat format) {
        for (const auto& [name, w] : p.weights) {
            auto value = wrap(w.values, w.shape).clone();
            if (value.dim() == 4) value = value.contiguous(format);
            if (name.find("running") == name.npos) parameters_.push_back(value.requires_grad_());
            values_.emplace(name, value);
        }
    }
    const std::vector<at::Tensor>& parameters() const { return parameters_; }
    /// The heat map, sizes and offsets.
    std::array<at::Tensor, 3> operator()(const at::Tensor& image) const {
        const auto x4 = block(norm(conv(image, "stem", 2), "stem_norm").relu_(), "down4", 2);
        const auto x8 = block(x4, "down8", 2);
        const auto y16 = block(block(x8, "down16", 2), "deep", 1);
        const auto y8 = mixed(joined(y16, "up8", x8), "mix8");
        const auto y4 = mixed(joined(y8, "up4", x4), "mix4");
        return {head(y4, "heads.hm"), head(y4, "heads.wh"), head(y4, "heads.reg")};
    }

private:
    at::Tensor at(const std::string& name) const {
        const auto found = values_.find(name);
        return found == values_.end() ? at::Tensor() : found->second;
    }
    at::Tensor conv(const at::Tensor& x, const std::string& name, Index stride = 1) const {
        const auto w = at(name + ".weight");
        return at::conv2d(x, w, at(name + ".bias"), stride, w.size(2) / 2);
    }
    at::Tensor norm(const at::Tensor& x, const std::string& name) const {
        return at::batch_norm(x, at(name + ".weight"), at(name + ".bias"), at(name + ".running_mean"),
                              at(name + ".running_var"), true, 0.1, 1e-5, false);
    }
    at::Tensor block(const at::Tensor& x, const std::string& name, Index stride) const {
        const auto y =
            norm(conv(norm(conv(x, name + ".conv1", stride), name + ".bn1").relu_(), name + ".conv2"), name + ".bn2");
        const bool down = stride > 1;
        return y.add_(down ? norm(conv(x, name + ".downsample.0", stride), name + ".downsample.1") : x).relu_();
    }
    at::Tensor joined(const at::Tensor& x, const std::string& name, const at::Tensor& lower) const {
        const auto y = norm(conv(x, name + ".0"), name + ".1");
        return (at::upsample_nearest2d(y, {lower.size(2), lower.size(3)}) + lower).relu_();
    }
    at::Tensor mixed(const at::Tensor& x, const std::string& name) const {
        return norm(conv(x, name + ".0"), name + ".1").relu_();
    }
    at::Tensor head(const at::Tensor& x, const std::string& name) const {
        return conv(conv(x, name + ".0").relu_(), name + ".2");
    }
    std::map<std::string, at::Tensor> values_;
    std::vector<at::Tensor> parameters_;
};

Contestant training(const CenterNetStep& p, at::MemoryFormat format) {
    const auto prepare = [=] {
        const auto network = std::make_shared<SmallCenterNet>(p, format);
        auto options = torch::optim::AdamWOptions(p.learning_rate);
        options.weight_decay(p.weight_decay);
        const auto optimizer = std::make_shared<torch::optim::AdamW>(network->parameters(), options);
        const Index side = p.size / 4, k = p.most;
        const auto images = wrap(p.images, {p.batch, 3, p.size, p.size}).contiguous(format);
        const auto heat = wrap(p.heat, {p.batch, CenterNetStep::classes, side, side}),
                   mask = wrap(p.mask, {p.batch, k, 1});
        const auto sizes = wrap(p.sizes, {p.batch, k, 2}), offsets = wrap(p.offsets, {p.batch, k, 2});
        const auto places = at::from_blob(p.places.data(), {p.batch, k, 1}, at::kLong).expand({p.batch, k, 2});
        // The losses as the official code spells them.
        const auto focal = [=](const at::Tensor& logits) {
            const auto q = logits.sigmoid().clamp(1e-4, 1 - 1e-4);
            const auto hit = heat.eq(1).to(at::kFloat), miss = heat.lt(1).to(at::kFloat);
            const auto found = at::log(q) * at::pow(1 - q, 2) * hit;
            const auto wrong = at::log(1 - q) * at::pow(q, 2) * at::pow(1 - heat, 4) * miss;
            return -(found.sum() + wrong.sum()) / hit.sum();
        };
        const auto l1 = [=](const at::Tensor& map, const at::Tensor& target) {
            const auto values = map.permute({0, 2, 3, 1}).reshape({p.batch, side * side, 2}).gather(1, places);
            return at::l1_loss(values * mask, target * mask, at::Reduction::Sum) / (2 * mask.sum() + 1e-4);
        };
        return TrainingStep::call([=] {
            const auto y = (*network)(images);
            const auto loss = focal(y[0]) + 0.1 * l1(y[1], sizes) + l1(y[2], offsets);
            optimizer->zero_grad();
            loss.backward();
            optimizer->step();
            return loss.item<double>();
        });
    };
    return {"libtorch",
            std::string("operators, torch::optim::AdamW") +
                (format == at::MemoryFormat::ChannelsLast ? ", channels last" : ""),
            prepare};
}

}  // namespace

Contestants contestants(const CenterNetForward& p) {
    if (p.deformable && !torchvision()) return {};
    Contestants out;
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
        out.push_back(
            {"libtorch",
             std::string(p.deformable ? "operators, torchvision's deform_conv2d, folded" : "operators, folded") +
                 (format == at::MemoryFormat::ChannelsLast ? ", channels last" : ""),
             [=] {
                 const c10::InferenceMode guard;
                 const auto w = std::make_shared<Folded>(p, format);
                 const auto x = wrap(p.x, {1, 3, p.size, p.size}).contiguous(format);
                 return fresh([=] { return centernet(*w, x, p.deformable); });
             }});
    return out;
}

Contestants contestants(const CenterNetStep& p) {
    return {training(p, at::MemoryFormat::Contiguous), training(p, at::MemoryFormat::ChannelsLast)};
}

}  // namespace peers::libtorch
