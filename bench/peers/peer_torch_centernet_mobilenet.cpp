// The MobileNetV3 CenterNet of libtorch's operators, in both memory formats. Its convolutions pad evenly: what stride 2
// wants is copied into larger images, or put into kernels with a row and a column of zeros in front.
#include "peer_torch.hpp"
#include "problems_centernet_mobilenet.hpp"

namespace peers::libtorch {
namespace {

class Net {
public:
    Net(const CenterNetMobileNet& p, at::MemoryFormat format, bool larger_kernels)
        : arrays_(p.exact_weights()),
          format_(format),
          larger_kernels_(larger_kernels) {}

    at::Tensor conv(const at::Tensor& x, const CenterNetMobileNetConv& c) {
        auto& w = weights_[c.name];
        if (!w.weight.defined()) prepare(w, x, c);
        if (c.stride == 1) return at::conv2d(x, w.weight, w.bias, 1, c.kernel / 2, 1, w.groups);
        const Index before = (c.kernel - 2) / 2, after = (c.kernel - 1) / 2, none = 0;
        if (larger_kernels_) return at::conv2d(x, w.weight, w.bias, 2, after, 1, w.groups);
        return at::conv2d(at::constant_pad_nd(x, {before, after, before, after}), w.weight, w.bias, 2, none, 1,
                          w.groups);
    }
    static at::Tensor relu(at::Tensor x) { return x.relu_(); }
    static at::Tensor hardswish(at::Tensor x) { return at::hardswish_(x); }
    static at::Tensor hardsigmoid(at::Tensor x) { return at::hardsigmoid_(x); }
    static at::Tensor sigmoid(at::Tensor x) { return x.sigmoid_(); }
    static at::Tensor mean(const at::Tensor& x) { return x.mean({2, 3}, true); }
    static at::Tensor add(at::Tensor fresh, const at::Tensor& x) { return fresh.add_(x); }
    static at::Tensor multiply(at::Tensor fresh, const at::Tensor& gate) { return fresh.mul_(gate); }
    static at::Tensor times16(at::Tensor x) { return x.mul_(16); }
    static at::Tensor cat(const at::Tensor& a, const at::Tensor& b) { return at::cat({a, b}, 1); }
    static at::Tensor enlarge(const at::Tensor& x) {
        const Index h = x.size(2), w = x.size(3);
        const auto wide = at::replication_pad2d(x, {0, 1, 0, 1});
        return at::upsample_bilinear2d(wide, {2 * h + 1, 2 * w + 1}, true).narrow(2, 0, 2 * h).narrow(3, 0, 2 * w);
    }

private:
    struct Ready {
        at::Tensor weight;
        c10::optional<at::Tensor> bias;
        Index groups = 1;
    };
    void prepare(Ready& ready, const at::Tensor& x, const CenterNetMobileNetConv& c) const {
        const auto& w = arrays_.at(c.name + ".weight");
        const Index in = c.depthwise ? 1 : x.size(1), out = w.size() / (in * c.kernel * c.kernel);
        ready.groups = c.depthwise ? x.size(1) : 1;
        auto weight = wrap(w, {out, in, c.kernel, c.kernel});
        if (c.stride > 1 && larger_kernels_) weight = at::constant_pad_nd(weight, {1, 0, 1, 0});
        ready.weight = weight.contiguous(format_);
        if (c.bias) ready.bias = wrap(arrays_.at(c.name + ".bias"), {out});
    }

    std::map<std::string, Array<float>> arrays_;
    std::map<std::string, Ready> weights_;
    at::MemoryFormat format_;
    bool larger_kernels_;
};

}  // namespace

Contestants contestants(const CenterNetMobileNet& p) {
    Contestants out;
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
        for (const bool larger_kernels : {false, true})
            out.push_back({"libtorch",
                           std::string(larger_kernels ? "larger kernels" : "copies with margins") +
                               (format == at::MemoryFormat::ChannelsLast ? ", channels last" : ""),
                           [=] {
                               const c10::InferenceMode guard;
                               const auto net = std::make_shared<Net>(p, format, larger_kernels);
                               const auto x = wrap(p.x, {1, 3, p.size, p.size}).contiguous(format);
                               return fresh([=] { return centernet_mobilenet(*net, x); });
                           }});
    return out;
}

}  // namespace peers::libtorch
