// CenterNets on ResNet-18 as ONNX graphs, the normalisations folded in.
#include "peer_onnxruntime.hpp"

namespace peers::onnxruntime {
namespace {

class Net {
public:
    explicit Net(const CenterNetForward& p) : weights_(p.weights) {}

    Plan plan;

    /// The convolution of this name, with the normalisation `norm` behind it where there is one.
    std::string conv(const std::string& x, const std::string& name, const std::string& norm, Index stride = 1) {
        const Index kernel = weights_.at(name + ".weight").shape[2];
        return layer("Conv", {x}, name, norm, kernel, stride, kernel / 2);
    }
    /// A transposed convolution that doubles the sides.
    std::string up(const std::string& x, const std::string& name, const std::string& norm) {
        return layer("ConvTranspose", {x}, name, norm, 4, 2, 1);
    }
    std::string deformed(const std::string& x, const std::string& name, const std::string& norm) {
        const auto predicted = conv(x, name + ".conv_offset_mask", "");
        const auto channels = [&](Index begin, Index end) {
            const auto number = [&](Index i) { return plan.graph.constant<Index>({i}); };
            return node("Slice", {predicted, number(begin), number(end), number(1)});
        };
        return layer("DeformConv", {x, channels(0, 18), node("Sigmoid", {channels(18, 27)})}, name, norm, 3, 1, 1);
    }
    std::string relu(const std::string& x) { return node("Relu", {x}); }
    std::string node(const char* op, const std::vector<std::string>& inputs, const Attributes& attributes = {}) {
        return plan.graph.node(op, inputs, attributes);
    }

private:
    /// Inputs are the map, and a deformable convolution's offsets and mask.
    std::string layer(const char* op, const std::vector<std::string>& inputs, const std::string& name,
                      const std::string& norm, Index kernel, Index stride, Index padding) {
        const Weight& w = weights_.at(name + ".weight");
        const bool transposed = op == std::string_view("ConvTranspose"), has_bias = weights_.count(name + ".bias");
        const Index out = w.shape[transposed ? 1 : 0], window = kernel * kernel;
        const Array<float> weight(w.values.size()), bias(out);
        const auto of = [&](const char* part, Index c) { return weights_.at(norm + part).values[c]; };
        for (Index c = 0; c < out; ++c) bias[c] = has_bias ? weights_.at(name + ".bias").values[c] : 0;
        std::copy_n(w.values.data(), weight.size(), weight.data());
        if (!norm.empty()) {
            const auto scale = [&](Index c) { return of(".weight", c) / std::sqrt(of(".running_var", c) + 1e-5F); };
            for (Index i = 0; i < weight.size(); ++i)
                weight[i] *= scale(transposed ? i / window % out : i / (weight.size() / out));
            for (Index c = 0; c < out; ++c) bias[c] = (bias[c] - of(".running_mean", c)) * scale(c) + of(".bias", c);
        }
        std::vector<std::string> all{inputs[0], plan.weight(weight, w.shape)};
        if (inputs.size() > 1) all.push_back(inputs[1]);
        all.push_back(plan.weight(bias, {out}));
        if (inputs.size() > 1) all.push_back(inputs[2]);
        return node(op, all,
                    {{"kernel_shape", Dims{kernel, kernel}},
                     {"strides", Dims{stride, stride}},
                     {"pads", Dims{padding, padding, padding, padding}}});
    }
    Weights weights_;
};

std::string resnet18(Net& net, const std::string& image) {
    auto x = net.relu(net.conv(image, "conv1", "bn1", 2));
    x = net.node("MaxPool", {x}, {{"kernel_shape", Dims{3, 3}}, {"strides", Dims{2, 2}}, {"pads", Dims{1, 1, 1, 1}}});
    for (int level = 1; level <= 4; ++level)
        for (int i = 0; i < 2; ++i) {
            const auto block = "layer" + std::to_string(level) + "." + std::to_string(i);
            const Index stride = level > 1 && i == 0 ? 2 : 1;
            auto y = net.relu(net.conv(x, block + ".conv1", block + ".bn1", stride));
            y = net.conv(y, block + ".conv2", block + ".bn2");
            const auto shortcut =
                stride == 2 ? net.conv(x, block + ".downsample.0", block + ".downsample.1", stride) : x;
            x = net.relu(net.node("Add", {y, shortcut}));
        }
    return x;
}

}  // namespace

Contestants contestants(const CenterNetForward& p) {
    Net net(p);
    const auto layer = [](Index i) { return "deconv_layers." + std::to_string(i); };
    auto x = resnet18(net, net.plan.input(p.x, {1, 3, p.size, p.size}));
    for (Index stage = 0; stage < 3; ++stage) {
        Index at = (p.deformable ? 6 : 3) * stage;
        if (p.deformable) {
            x = net.relu(net.deformed(x, layer(at), layer(at + 1)));
            at += 3;
        }
        x = net.relu(net.up(x, layer(at), layer(at + 1)));
    }
    const auto head = [&](const std::string& name) {
        return net.conv(net.relu(net.conv(x, name + ".0", "")), name + ".2", "");
    };
    const auto maps = net.node("Concat", {head("hm"), head("wh"), head("reg")}, {{"axis", Index(1)}});
    net.plan.output(maps, {1, CenterNetForward::classes + 4, p.size / 4, p.size / 4});
    return both(net.plan.race("graph", Level::plain), net.plan.race("graph, blocked"));
}

}  // namespace peers::onnxruntime
