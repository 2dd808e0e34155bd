// libtorch's operators put together to whole networks, the normalisations folded into the convolutions beforehand as
// its optimize_for_inference would, in both memory formats.
#include "peer_torch.hpp"

namespace peers::libtorch {
namespace {

// The parameters of a network, ready to run.
class Weights {
public:
    Weights(const Network& p, at::MemoryFormat format) : weights_(p.weights), format_(format) {}

    // Convolution `conv` with the normalisation `norm` folded in.
    void fold(const std::string& conv, const std::string& norm, Index kernel, Index groups, double eps) {
        const auto scale = vector(norm + ".weight") / at::sqrt(vector(norm + ".running_var") + eps);
        const Index out = scale.numel(), in = weights_.at(conv + ".weight").size() / (out * kernel * kernel);
        const auto w = wrap(weights_.at(conv + ".weight"), {out, in, kernel, kernel}) * scale.view({out, 1, 1, 1});
        folded_[conv] = {w.contiguous(format_), vector(norm + ".bias") - vector(norm + ".running_mean") * scale,
                         groups};
    }
    at::Tensor conv(const at::Tensor& x, const std::string& name, Index stride) const {
        const auto& f = folded_.at(name);
        const Index padding = f.weight.size(2) / 2;
        return at::conv2d(x, f.weight, f.bias, stride, padding, 1, f.groups);
    }
    at::Tensor linear(const at::Tensor& x, const std::string& name) const {
        return at::linear(x, wrap(weights_.at(name + ".weight"), {-1, x.size(1)}), vector(name + ".bias"));
    }
    // A 1x1 convolution with its own bias.
    at::Tensor pointwise(const at::Tensor& x, const std::string& name) const {
        const auto bias = vector(name + ".bias");
        return at::conv2d(x, wrap(weights_.at(name + ".weight"), {bias.numel(), x.size(1), 1, 1}), bias);
    }
    bool has(const std::string& name) const { return weights_.count(name) != 0; }
    Index rows(const std::string& norm) const { return weights_.at(norm + ".bias").size(); }
    Index size(const std::string& name) const { return weights_.at(name).size(); }

private:
    struct Folded {
        at::Tensor weight, bias;
        Index groups;
    };
    at::Tensor wrap(const Array<float>& a, std::vector<Index> shape) const {
        if (shape[0] < 0) shape[0] = a.size() / shape[1];
        return libtorch::wrap(a, shape);
    }
    at::Tensor vector(const std::string& name) const {
        const auto& a = weights_.at(name);
        return libtorch::wrap(a, {a.size()});
    }
    std::map<std::string, Array<float>> weights_;
    std::map<std::string, Folded> folded_;
    at::MemoryFormat format_;
};

struct ResNet18 {
    Weights w;

    explicit ResNet18(const Network& p, at::MemoryFormat format) : w(p, format) {
        w.fold("conv1", "bn1", 7, 1, 1e-5);
        for (const std::string& block : blocks()) {
            w.fold(block + ".conv1", block + ".bn1", 3, 1, 1e-5);
            w.fold(block + ".conv2", block + ".bn2", 3, 1, 1e-5);
            if (w.has(block + ".downsample.0.weight"))
                w.fold(block + ".downsample.0", block + ".downsample.1", 1, 1, 1e-5);
        }
    }
    static std::vector<std::string> blocks() {
        std::vector<std::string> names;
        for (int layer = 1; layer <= 4; ++layer)
            for (int i = 0; i < 2; ++i) names.push_back("layer" + std::to_string(layer) + "." + std::to_string(i));
        return names;
    }
    at::Tensor operator()(const at::Tensor& image) const {
        auto x = w.conv(image, "conv1", 2).relu_();
        x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
        for (const std::string& block : blocks()) {
            const bool down = w.has(block + ".downsample.0.weight");
            auto y = w.conv(x, block + ".conv1", down ? 2 : 1).relu_();
            y = w.conv(y, block + ".conv2", 1);
            x = y.add_(down ? w.conv(x, block + ".downsample.0", 2) : x).relu_();
        }
        return w.linear(x.mean({2, 3}), "fc");
    }
};

struct MobileNetV3Small {
    // Kernel, stride and whether hardswish is used; all else shows in the names and shapes.
    struct Block {
        Index kernel, stride;
        bool hardswish;
    };
    static constexpr Block blocks[] = {{3, 2, false}, {3, 2, false}, {3, 1, false}, {5, 2, true},
                                       {5, 1, true},  {5, 1, true},  {5, 1, true},  {5, 1, true},
                                       {5, 2, true},  {5, 1, true},  {5, 1, true}};
    Weights w;

    explicit MobileNetV3Small(const Network& p, at::MemoryFormat format) : w(p, format) {
        w.fold("features.0.0", "features.0.1", 3, 1, 1e-3);
        w.fold("features.12.0", "features.12.1", 1, 1, 1e-3);
        for (int i = 1; i <= 11; ++i) {
            const auto name = "features." + std::to_string(i) + ".block.";
            for (int part = 0; w.has(part_name(name, part, ".1.bias")) || w.has(part_name(name, part, ".fc1.bias"));
                 ++part) {
                const auto conv = part_name(name, part, "");
                if (!w.has(conv + ".1.bias")) continue;
                const bool depthwise = is_depthwise(conv, blocks[i - 1].kernel);
                w.fold(conv + ".0", conv + ".1", depthwise ? blocks[i - 1].kernel : 1,
                       depthwise ? w.rows(conv + ".1") : 1, 1e-3);
            }
        }
    }
    static std::string part_name(const std::string& block, int part, const char* end) {
        return block + std::to_string(part) + end;
    }
    bool is_depthwise(const std::string& conv, Index kernel) const {
        return w.size(conv + ".0.weight") == w.rows(conv + ".1") * kernel * kernel;
    }
    static at::Tensor activated(at::Tensor x, bool hardswish) { return hardswish ? at::hardswish_(x) : x.relu_(); }

    at::Tensor operator()(const at::Tensor& image) const {
        auto x = activated(w.conv(image, "features.0.0", 2), true);
        for (int i = 1; i <= 11; ++i) {
            const Block& block = blocks[i - 1];
            const auto name = "features." + std::to_string(i) + ".block.";
            auto y = x;
            int part = 0;
            if (!is_depthwise(part_name(name, 0, ""), block.kernel))
                y = activated(w.conv(y, part_name(name, part++, ".0"), 1), block.hardswish);
            y = activated(w.conv(y, part_name(name, part++, ".0"), block.stride), block.hardswish);
            if (const auto squeeze = part_name(name, part, ""); w.has(squeeze + ".fc1.bias")) {
                const auto s = w.pointwise(y.mean({2, 3}, true), squeeze + ".fc1").relu_();
                y = y * at::hardsigmoid(w.pointwise(s, squeeze + ".fc2"));
                ++part;
            }
            y = w.conv(y, part_name(name, part, ".0"), 1);
            x = block.stride == 1 && y.size(1) == x.size(1) ? y.add_(x) : y;
        }
        x = activated(w.conv(x, "features.12.0", 1), true);
        x = activated(w.linear(x.mean({2, 3}), "classifier.0"), true);
        return w.linear(x, "classifier.3");
    }
};

template <class Net>
Contestants networks(const Network& p) {
    Contestants out;
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
        out.push_back(
            {"libtorch",
             std::string("operators, folded") + (format == at::MemoryFormat::ChannelsLast ? ", channels last" : ""),
             [=] {
                 const c10::InferenceMode guard;
                 const auto net = std::make_shared<Net>(p, format);
                 const auto x = wrap(p.x, {1, 3, p.size, p.size}).contiguous(format);
                 return fresh([=] { return (*net)(x); });
             }});
    return out;
}

}  // namespace

Contestants contestants(const Network& p) {
    return p.kind == Network::Kind::resnet18 ? networks<ResNet18>(p) : networks<MobileNetV3Small>(p);
}

}  // namespace peers::libtorch
