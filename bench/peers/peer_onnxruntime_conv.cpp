// ONNX Runtime's convolutions and whole networks.
#include "peer_onnxruntime.hpp"

namespace peers::onnxruntime {
namespace {

// Attributes of a square convolution.
Attributes window(Index kernel, Index stride, Index padding, Index groups = 1) {
    return {{"kernel_shape", Dims{kernel, kernel}},
            {"strides", Dims{stride, stride}},
            {"pads", Dims(4, padding)},
            {"group", groups}};
}

Contestants both_levels(const Plan& plan, const std::string& variant) {
    return both(plan.race(variant, Level::plain), plan.race(variant + ", blocked"));
}

// A network under construction, with parameters by torchvision's names. The runtime folds the normalisations.
class Builder {
public:
    explicit Builder(const Network& p) : p_(p) {}

    Plan plan;
    bool has(const std::string& name) const { return p_.weights.count(name) != 0; }
    Index size(const std::string& name) const { return p_.weights.at(name).size(); }

    std::string node(const char* op, const std::vector<std::string>& inputs, const Attributes& attributes = {}) {
        return plan.graph.node(op, inputs, attributes);
    }
    // Convolution without bias, then its normalisation.
    std::string conv(const std::string& x, const std::string& name, const std::string& norm, Index kernel, Index stride,
                     float eps, Index groups = 1) {
        const Index out = size(norm + ".bias"), in = size(name + ".weight") / (out * kernel * kernel);
        const auto y = node("Conv", {x, weight(name + ".weight", {out, in, kernel, kernel})},
                            window(kernel, stride, kernel / 2, groups));
        return node("BatchNormalization",
                    {y, vector(norm + ".weight"), vector(norm + ".bias"), vector(norm + ".running_mean"),
                     vector(norm + ".running_var")},
                    {{"epsilon", eps}});
    }
    // A 1x1 convolution with its own bias.
    std::string pointwise(const std::string& x, const std::string& name) {
        const Index out = size(name + ".bias"), in = size(name + ".weight") / out;
        return node("Conv", {x, weight(name + ".weight", {out, in, 1, 1}), vector(name + ".bias")}, window(1, 1, 0));
    }
    std::string linear(const std::string& x, const std::string& name) {
        const Index out = size(name + ".bias"), in = size(name + ".weight") / out;
        return node("Gemm", {x, weight(name + ".weight", {out, in}), vector(name + ".bias")}, {{"transB", Index(1)}});
    }
    std::string pooled(const std::string& x) { return node("Flatten", {node("GlobalAveragePool", {x})}); }

private:
    std::string weight(const std::string& name, const Dims& dims) { return plan.weight(p_.weights.at(name), dims); }
    std::string vector(const std::string& name) { return weight(name, {size(name)}); }

    const Network& p_;
};

std::string resnet18(Builder& b, std::string x) {
    const auto relu = [&](const std::string& y) { return b.node("Relu", {y}); };
    x = relu(b.conv(x, "conv1", "bn1", 7, 2, 1e-5f));
    x = b.node("MaxPool", {x}, {{"kernel_shape", Dims{3, 3}}, {"strides", Dims{2, 2}}, {"pads", Dims(4, 1)}});
    for (int layer = 1; layer <= 4; ++layer)
        for (int i = 0; i < 2; ++i) {
            const auto name = "layer" + std::to_string(layer) + "." + std::to_string(i);
            const auto conv = [&](const std::string& from, const char* number, Index stride) {
                return b.conv(from, name + ".conv" + number, name + ".bn" + number, 3, stride, 1e-5f);
            };
            const bool down = b.has(name + ".downsample.0.weight");
            const auto y = conv(relu(conv(x, "1", down ? 2 : 1)), "2", 1);
            if (down) x = b.conv(x, name + ".downsample.0", name + ".downsample.1", 1, 2, 1e-5f);
            x = relu(b.node("Add", {y, x}));
        }
    return b.linear(b.pooled(x), "fc");
}

std::string mobilenet_v3_small(Builder& b, std::string x) {
    // Kernel, stride and whether hardswish is used; all else shows in the names and shapes.
    struct Block {
        Index kernel, stride;
        bool hardswish;
    };
    constexpr Block blocks[] = {{3, 2, false}, {3, 2, false}, {3, 1, false}, {5, 2, true}, {5, 1, true}, {5, 1, true},
                                {5, 1, true},  {5, 1, true},  {5, 2, true},  {5, 1, true}, {5, 1, true}};
    const auto activated = [&](const std::string& y, bool hardswish) {
        return b.node(hardswish ? "HardSwish" : "Relu", {y});
    };
    x = activated(b.conv(x, "features.0.0", "features.0.1", 3, 2, 1e-3f), true);
    for (int i = 1; i <= 11; ++i) {
        const auto& [kernel, stride, hardswish] = blocks[i - 1];
        const auto name = "features." + std::to_string(i) + ".block.";
        int part = 0;
        const auto conv = [&](const std::string& from, Index k, Index s, Index groups) {
            const auto here = name + std::to_string(part++);
            return b.conv(from, here + ".0", here + ".1", k, s, 1e-3f, groups);
        };
        const Index channels = b.size(name + "0.1.bias");  // expanded, or as they come in
        auto y = x;
        if (b.size(name + "0.0.weight") != channels * kernel * kernel) y = activated(conv(y, 1, 1, 1), hardswish);
        y = activated(conv(y, kernel, stride, channels), hardswish);
        if (const auto squeeze = name + std::to_string(part); b.has(squeeze + ".fc1.bias")) {
            const auto s = b.node("Relu", {b.pointwise(b.node("GlobalAveragePool", {y}), squeeze + ".fc1")});
            const auto gate =
                b.node("HardSigmoid", {b.pointwise(s, squeeze + ".fc2")}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
            y = b.node("Mul", {y, gate});
            ++part;
        }
        const auto last = name + std::to_string(part);
        const Index out = b.size(last + ".1.bias"), in = b.size(name + "0.0.weight") / channels;
        y = conv(y, 1, 1, 1);
        x = stride == 1 && in == out ? b.node("Add", {y, x}) : y;
    }
    x = activated(b.conv(x, "features.12.0", "features.12.1", 1, 1, 1e-3f), true);
    x = activated(b.linear(b.pooled(x), "classifier.0"), true);
    return b.linear(x, "classifier.3");
}

}  // namespace

Contestants contestants(const Convolution& c) {
    Plan plan;
    const auto x = plan.input(c.x, {c.batch, c.in, c.size, c.size});
    const auto w = plan.weight(c.weight, {c.out, c.in / c.groups, c.kernel, c.kernel});
    const auto y =
        plan.graph.node("Conv", {x, w, plan.weight(c.bias, {c.out})}, window(c.kernel, c.stride, c.padding, c.groups));
    plan.output(y, {c.batch, c.out, c.result(), c.result()});
    return both_levels(plan, "Conv");
}

Contestants contestants(const TransposedConvolution& c) {
    Plan plan;
    const auto x = plan.input(c.x, {1, c.in, c.size, c.size});
    const auto w = plan.weight(c.weight, {c.in, c.out, c.kernel, c.kernel});
    plan.output(plan.graph.node("ConvTranspose", {x, w}, window(c.kernel, c.stride, c.padding)),
                {1, c.out, c.result(), c.result()});
    return plan.race("ConvTranspose");
}

Contestants contestants(const DeformedConvolution& c) {
    Plan plan;
    const auto x = plan.input(c.x, {1, c.channels, c.size, c.size});
    const auto w = plan.weight(c.weight, {c.channels, c.channels, 3, 3});
    const auto offset = plan.input(c.offset, {1, 18, c.size, c.size});
    plan.output(plan.graph.node("DeformConv", {x, w, offset}, window(3, 1, 1)), {1, c.channels, c.size, c.size});
    return plan.race("DeformConv");
}

Contestants contestants(const Network& p) {
    Builder builder(p);
    const auto x = builder.plan.input(p.x, {1, 3, p.size, p.size});
    const auto y = p.kind == Network::Kind::resnet18 ? resnet18(builder, x) : mobilenet_v3_small(builder, x);
    builder.plan.output(y, {1, 1000});
    return both_levels(builder.plan, "optimised graph");
}

}  // namespace peers::onnxruntime
