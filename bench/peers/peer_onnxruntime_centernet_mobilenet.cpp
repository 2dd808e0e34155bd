// The MobileNetV3 CenterNet as an ONNX graph.
#include "peer_onnxruntime.hpp"
#include "problems_centernet_mobilenet.hpp"

namespace peers::onnxruntime {
namespace {

class Net {
public:
    explicit Net(const CenterNetMobileNet& p) : arrays_(p.exact_weights()) {}

    Plan plan;

    std::string conv(const std::string& x, const CenterNetMobileNetConv& c) {
        const auto& w = arrays_.at(c.name + ".weight");
        const Index window = c.kernel * c.kernel, with_bias = arrays_.count(c.name + ".bias"),
                    channels = with_bias     ? arrays_.at(c.name + ".bias").size()
                               : c.depthwise ? w.size() / window
                                             : 128,  // the gate's
            in = w.size() / (channels * window);
        const Index before = c.stride == 1 ? c.kernel / 2 : (c.kernel - 2) / 2, after = (c.kernel - 1) / 2;
        std::vector<std::string> inputs{x, plan.weight(w, {channels, in, c.kernel, c.kernel})};
        if (with_bias) inputs.push_back(plan.weight(arrays_.at(c.name + ".bias"), {channels}));
        return node("Conv", inputs,
                    {{"kernel_shape", Dims{c.kernel, c.kernel}},
                     {"strides", Dims{c.stride, c.stride}},
                     {"pads", Dims{before, before, after, after}},
                     {"group", c.depthwise ? channels : Index(1)}});
    }
    std::string relu(const std::string& x) { return node("Relu", {x}); }
    std::string hardswish(const std::string& x) { return node("HardSwish", {x}); }
    std::string hardsigmoid(const std::string& x) {
        return node("HardSigmoid", {x}, {{"alpha", 1.0F / 6}, {"beta", 0.5F}});
    }
    std::string sigmoid(const std::string& x) { return node("Sigmoid", {x}); }
    std::string mean(const std::string& x) { return node("GlobalAveragePool", {x}); }
    std::string add(const std::string& a, const std::string& b) { return node("Add", {a, b}); }
    std::string multiply(const std::string& a, const std::string& b) { return node("Mul", {a, b}); }
    std::string times16(const std::string& x) { return node("Mul", {x, plan.graph.constant<float>({16})}); }
    std::string cat(const std::string& a, const std::string& b) { return node("Concat", {a, b}, {{"axis", Index(1)}}); }
    std::string enlarge(const std::string& x) {
        return node("Resize", {x, "", plan.graph.constant<float>({1, 1, 2, 2})},
                    {{"mode", std::string("linear")}, {"coordinate_transformation_mode", std::string("asymmetric")}});
    }

private:
    std::string node(const char* op, const std::vector<std::string>& inputs, const Attributes& attributes = {}) {
        return plan.graph.node(op, inputs, attributes);
    }
    std::map<std::string, Array<float>> arrays_;
};

}  // namespace

Contestants contestants(const CenterNetMobileNet& p) {
    Net net(p);
    const auto x = net.plan.input(p.x, {1, 3, p.size, p.size});
    net.plan.output(centernet_mobilenet(net, x), {1, 84, p.size / 4, p.size / 4});
    return both(net.plan.race("graph", Level::plain), net.plan.race("graph, blocked"));
}

}  // namespace peers::onnxruntime
