#pragma once
// The MobileNetV3 CenterNet as a graph, written once for all peers.
#include "problems.hpp"

namespace peers {

/// All maps [84, size / 4, size / 4] of the published MobileNetV3 CenterNet for an image [1, 3, size, size] with
/// colours from 0 to 255: probabilities of 80 classes, then four sides. Parameters by the names of
/// models::CenterNetMobileNet.
struct CenterNetMobileNet {
    Index size = 512;
    Array<float> x = colours(noise(3 * size * size, 1));
    std::map<std::string, Array<float>> weights = {};

    Index outputs() const { return 84 * (size / 4) * (size / 4); }

    /// The parameters for peers whose hardswish and hardsigmoid divide by 6 where the published graph multiplies by
    /// 0.1666259765625: the ratio goes into the weights behind them, so that all compute the same.
    std::map<std::string, Array<float>> exact_weights() const {
        constexpr float r = 6 * 0.1666259765625F;
        auto out = weights;
        const auto scale = [&](const std::string& name, float factor) {
            Array<float> copy(out.at(name).size());
            for (Index i = 0; i < copy.size(); ++i) copy[i] = factor * out.at(name)[i];
            out.at(name) = copy;
        };
        const std::string block = "MobilenetV3.expanded_conv";
        scale(block + ".depthwise.weight", r);
        scale(block + ".project.weight", 1 / r);
        scale(block + ".project.bias", 1 / r);
        scale(block + "_1.expand.weight", r);
        for (int i = 1; i < 15; ++i) {
            const auto name = block + "_" + std::to_string(i);
            const bool hardswish = i >= 6, gate = weights.count(name + ".squeeze_excite.Conv.bias") != 0;
            if (hardswish) scale(name + ".depthwise.weight", r);
            if (hardswish && gate) scale(name + ".squeeze_excite.Conv.weight", r);
            scale(name + ".project.weight", (hardswish ? r : 1) * (gate ? r : 1));
        }
        for (const char* branch : {"x", "y"})
            scale(std::string("CenternetHead.c5_upsample.branch_") + branch + "_upsample_resize.depthwise.weight", r);
        return out;
    }

private:
    static Array<float> colours(const Array<float>& x) {
        for (Index i = 0; i < x.size(); ++i) x[i] = 127.5F + 127.5F * x[i];
        return x;
    }
};

/// A convolution of the graph: padded as TensorFlow's SAME, which for stride 2 and even sides means (kernel - 2) / 2
/// before and (kernel - 1) / 2 after.
struct CenterNetMobileNetConv {
    std::string name;
    Index kernel = 1, stride = 1;
    bool depthwise = false, bias = true;
};

/// The graph on a peer's operators: conv, relu, hardswish, hardsigmoid, sigmoid, mean, add, multiply, times16, cat and
/// enlarge (twice, bilinear, output 2 i at input i).
template <class Peer, class Value>
Value centernet_mobilenet(Peer& p, Value x) {
    struct Block {
        Index kernel, stride;
        bool expand, hardswish, gate, residual;
    };
    static constexpr Block blocks[] = {
        {3, 1, false, false, false, true}, {3, 2, true, false, false, false}, {3, 1, true, false, false, true},
        {5, 2, true, false, true, false},  {5, 1, true, false, true, true},   {5, 1, true, false, true, true},
        {3, 2, true, true, false, false},  {3, 1, true, true, false, true},   {3, 1, true, true, false, true},
        {3, 1, true, true, false, true},   {3, 1, true, true, true, false},   {3, 1, true, true, true, true},
        {5, 2, true, true, true, false},   {5, 1, true, true, true, true},    {5, 1, true, true, true, true}};
    Value taps[3];
    x = p.hardswish(p.conv(x, {"MobilenetV3.Conv", 3, 2}));
    for (int i = 0; i < 15; ++i) {
        const Block& b = blocks[i];
        const auto name = "MobilenetV3.expanded_conv" + (i ? "_" + std::to_string(i) : std::string());
        const auto activated = [&](Value y) { return b.hardswish ? p.hardswish(y) : p.relu(y); };
        Value y = b.expand ? activated(p.conv(x, {name + ".expand"})) : x;
        if (i == 3) taps[0] = y;
        if (i == 5) taps[1] = y;
        y = activated(p.conv(y, {name + ".depthwise", b.kernel, b.stride, true}));
        if (b.gate) {
            const Value s = p.relu(p.conv(p.mean(y), {name + ".squeeze_excite.Conv"}));
            y = p.multiply(y, p.hardsigmoid(p.conv(s, {name + ".squeeze_excite.Conv_1"})));
        }
        y = p.conv(y, {name + ".project"});
        x = b.residual ? p.add(y, x) : y;
        if (i == 11) taps[2] = x;
    }
    x = p.hardswish(p.conv(x, {"extern1"}));

    const std::string head = "CenternetHead.";
    const auto separable = [&](Value y, const std::string& name, Index kernel) {
        return p.conv(p.conv(y, {name + ".depthwise", kernel, 1, true, false}), {name + ".pointwise"});
    };
    for (int level = 4; level >= 2; --level) {
        const auto from = head + "c" + std::to_string(level) + "_reverse.",
                   below = head + "c" + std::to_string(level + 1) + "_upsample.branch_";
        const Value kept = separable(p.relu(p.conv(taps[level - 2], {from + "1x1"})), from + "3x3", 5);
        const Value up = p.enlarge(
            p.add(separable(x, below + "x_upsample_resize", 3), separable(x, below + "y_upsample_resize", 5)));
        x = p.relu(p.cat(kept, up));
    }
    const Value s = p.relu(p.conv(p.mean(x), {head + "conv1x1_se_a"}));
    x = p.multiply(x, p.sigmoid(p.conv(s, {head + "conv1x1_se_b", 1, 1, false, false})));
    return p.cat(p.sigmoid(separable(x, head + "centernet_cls_output", 3)),
                 p.times16(separable(x, head + "centernet_wh_output", 3)));
}

}  // namespace peers
