// libtorch trains whole networks, written with its operators and optimizers; and it fills arrays with random numbers.
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

// They do not include what they use.
#include <ATen/CPUGeneratorImpl.h>

#include "peer_torch.hpp"

namespace peers::libtorch {
namespace {

/// Parameters by name.
class Parameters {
public:
    Parameters(const TrainingStep& p, at::MemoryFormat format) : source_(p.weights), format_(format) {}

    /// The parameter of this name, which gets this shape.
    at::Tensor operator()(const std::string& name, at::IntArrayRef shape) {
        auto w = wrap(source_.at(name), shape).clone();
        if (w.dim() == 4) w = w.contiguous(format_);
        all_.push_back(w.requires_grad_());
        return all_.back();
    }
    bool has(const std::string& name) const { return source_.count(name) != 0; }
    Index size(const std::string& name) const { return source_.at(name).size(); }
    const std::vector<at::Tensor>& all() const { return all_; }

private:
    std::map<std::string, Array<float>> source_;
    at::MemoryFormat format_;
    std::vector<at::Tensor> all_;
};

struct Conv {
    at::Tensor weight, bias;
    Index stride, padding;

    Conv(Parameters& w, const std::string& name, Index out, Index in, Index kernel, Index stride_, Index padding_)
        : weight(w(name + ".weight", {out, in, kernel, kernel})),
          bias(w.has(name + ".bias") ? w(name + ".bias", {out}) : at::Tensor()),
          stride(stride_),
          padding(padding_) {}
    at::Tensor operator()(const at::Tensor& x) const { return at::conv2d(x, weight, bias, stride, padding); }
};

struct BatchNorm {
    at::Tensor weight, bias, mean, var;

    BatchNorm(Parameters& w, const std::string& name, Index channels)
        : weight(w(name + ".weight", {channels})),
          bias(w(name + ".bias", {channels})),
          mean(at::zeros({channels})),
          var(at::ones({channels})) {}
    at::Tensor operator()(const at::Tensor& x) const {
        return at::batch_norm(x, weight, bias, mean, var, true, 0.1, 1e-5, false);
    }
};

struct Linear {
    at::Tensor weight, bias;

    Linear(Parameters& w, const std::string& name, Index out, Index in)
        : Linear(w, name + ".weight", name + ".bias", out, in) {}
    Linear(Parameters& w, const std::string& weight_name, const std::string& bias_name, Index out, Index in)
        : weight(w(weight_name, {out, in})),
          bias(w(bias_name, {out})) {}
    at::Tensor operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }
};

struct LayerNorm {
    at::Tensor weight, bias;

    LayerNorm(Parameters& w, const std::string& name, Index width)
        : weight(w(name + ".weight", {width})),
          bias(w(name + ".bias", {width})) {}
    at::Tensor operator()(const at::Tensor& x) const {
        return at::layer_norm(x, {weight.numel()}, weight, bias, 1e-5, false);
    }
};

struct Quickstart {
    Conv conv1, conv2;
    BatchNorm bn1, bn2;
    Linear linear1, linear2;
    at::Tensor images, labels;

    Quickstart(const TrainingStep& p, Parameters& w, at::MemoryFormat format)
        : conv1(w, "0", 16, 1, 3, 1, 1),
          conv2(w, "4", 32, 16, 3, 1, 1),
          bn1(w, "1", 16),
          bn2(w, "5", 32),
          linear1(w, "9", 128, 32 * 7 * 7),
          linear2(w, "11", 10, 128),
          images(wrap(p.images, {p.batch, 1, 28, 28}).contiguous(format)),
          labels(at::from_blob(p.labels.data(), {p.batch}, at::kLong)) {}
    at::Tensor loss() const {
        auto x = at::max_pool2d(bn1(conv1(images)).relu_(), {2, 2});
        x = at::max_pool2d(bn2(conv2(x)).relu_(), {2, 2});
        return at::cross_entropy_loss(linear2(linear1(x.flatten(1)).relu_()), labels);
    }
};

struct ResNet18 {
    struct Block {
        Conv conv1, conv2;
        BatchNorm bn1, bn2;
        c10::optional<Conv> down;
        c10::optional<BatchNorm> down_norm;

        Block(Parameters& w, const std::string& name, Index in, Index out, Index stride)
            : conv1(w, name + ".conv1", out, in, 3, stride, 1),
              conv2(w, name + ".conv2", out, out, 3, 1, 1),
              bn1(w, name + ".bn1", out),
              bn2(w, name + ".bn2", out) {
            if (!w.has(name + ".downsample.0.weight")) return;
            down.emplace(w, name + ".downsample.0", out, in, 1, stride, 0);
            down_norm.emplace(w, name + ".downsample.1", out);
        }
        at::Tensor operator()(const at::Tensor& x) const {
            const auto y = bn2(conv2(bn1(conv1(x)).relu_()));
            return y.add_(down ? (*down_norm)((*down)(x)) : x).relu_();
        }
    };
    Conv conv1;
    BatchNorm bn1;
    std::vector<Block> blocks;
    Linear fc;
    at::Tensor images, labels;

    ResNet18(const TrainingStep& p, Parameters& w, at::MemoryFormat format)
        : conv1(w, "conv1", 64, 3, 7, 2, 3),
          bn1(w, "bn1", 64),
          fc(w, "fc", 10, 512),
          images(wrap(p.images, {p.batch, 3, 32, 32}).contiguous(format)),
          labels(at::from_blob(p.labels.data(), {p.batch}, at::kLong)) {
        Index in = 64;
        for (int layer = 1; layer <= 4; ++layer)
            for (int i = 0; i < 2; ++i) {
                const Index out = Index(32) << layer;
                const auto name = "layer" + std::to_string(layer) + "." + std::to_string(i);
                blocks.emplace_back(w, name, in, out, in == out ? 1 : 2);
                in = out;
            }
    }
    at::Tensor loss() const {
        auto x = at::max_pool2d(bn1(conv1(images)).relu_(), {3, 3}, {2, 2}, {1, 1});
        for (const Block& block : blocks) x = block(x);
        return at::cross_entropy_loss(fc(x.mean({2, 3})), labels);
    }
};

struct LanguageModel {
    using Step = TrainingStep;
    struct Layer {
        LayerNorm norm1, norm2;
        Linear in, out, linear1, linear2;

        Layer(Parameters& w, const std::string& name)
            : norm1(w, name + ".norm1", Step::width),
              norm2(w, name + ".norm2", Step::width),
              in(w, name + ".self_attn.in_proj_weight", name + ".self_attn.in_proj_bias", 3 * Step::width, Step::width),
              out(w, name + ".self_attn.out_proj", Step::width, Step::width),
              linear1(w, name + ".linear1", 4 * Step::width, Step::width),
              linear2(w, name + ".linear2", Step::width, 4 * Step::width) {}
        // As torch.nn.functional's multi_head_attention_forward without dropout.
        at::Tensor attend(const at::Tensor& x, const at::Tensor& mask) const {
            const Index n = x.size(0), l = x.size(1), each = Step::width / Step::heads;
            const auto qkv = in(x).view({n, l, 3, Step::heads, each}).permute({2, 0, 3, 1, 4});
            const auto heads = [&](Index i) { return qkv[i].reshape({n * Step::heads, l, each}); };
            const auto scores = at::baddbmm(mask, heads(0) * (1 / std::sqrt(double(each))), heads(1).transpose(1, 2));
            const auto y = at::bmm(at::softmax(scores, -1), heads(2)).view({n, Step::heads, l, each});
            return out(y.transpose(1, 2).reshape({n, l, Step::width}));
        }
        at::Tensor operator()(const at::Tensor& x, const at::Tensor& mask) const {
            const auto y = x + attend(norm1(x), mask);
            return y + linear2(at::gelu(linear1(norm2(y))));
        }
    };
    at::Tensor tokens, positions, mask, given, next;
    std::vector<Layer> layers;
    LayerNorm norm;
    Linear head;

    LanguageModel(const TrainingStep& p, Parameters& w, at::MemoryFormat)
        : tokens(w("tokens.weight", {Step::vocabulary, Step::width})),
          positions(w("positions.weight", {Step::context, Step::width})),
          mask(at::full({Step::context, Step::context}, -INFINITY).triu_(1)),
          norm(w, "encoder.norm", Step::width),
          head(w, "head", Step::vocabulary, Step::width) {
        for (Index i = 0; i < Step::layers; ++i) layers.emplace_back(w, "encoder.layers." + std::to_string(i));
        const auto bytes = at::from_blob(p.bytes.data(), {p.batch, Step::context + 1}, at::kLong);
        given = bytes.slice(1, 0, Step::context).contiguous();
        next = bytes.slice(1, 1).reshape({-1});
    }
    at::Tensor loss() const {
        auto x = at::embedding(tokens, given) + positions;
        for (const Layer& layer : layers) x = layer(x, mask);
        return at::cross_entropy_loss(head(norm(x)).view({-1, Step::vocabulary}), next);
    }
};

template <class Network>
Contestant training(const TrainingStep& p, at::MemoryFormat format) {
    const bool adamw = p.network != TrainingStep::Network::resnet18;
    const auto prepare = [=] {
        Parameters w(p, format);
        const auto network = std::make_shared<Network>(p, w, format);
        std::shared_ptr<torch::optim::Optimizer> optimizer;
        if (adamw) {
            auto options = torch::optim::AdamWOptions(p.learning_rate);
            options.weight_decay(p.weight_decay);
            optimizer = std::make_shared<torch::optim::AdamW>(w.all(), options);
        } else {
            auto options = torch::optim::SGDOptions(p.learning_rate).momentum(p.momentum);
            optimizer = std::make_shared<torch::optim::SGD>(w.all(), options);
        }
        return TrainingStep::call([=] {
            const auto loss = network->loss();
            optimizer->zero_grad();
            loss.backward();
            optimizer->step();
            return loss.template item<double>();
        });
    };
    return {"libtorch",
            std::string("operators, torch::optim::") + (adamw ? "AdamW" : "SGD") +
                (format == at::MemoryFormat::ChannelsLast ? ", channels last" : ""),
            prepare};
}

// As torch.nn.init does it: the inverse of the distribution function at uniform numbers between its ends.
void trunc_normal_(at::Tensor& x, double mean, double std, double a, double b) {
    const auto below = [](double z) { return (1 + std::erf(z / std::sqrt(2.))) / 2; };
    const double low = below((a - mean) / std), high = below((b - mean) / std);
    x.uniform_(2 * low - 1, 2 * high - 1).erfinv_().mul_(std * std::sqrt(2.)).add_(mean).clamp_(a, b);
}

}  // namespace

Contestants contestants(const TrainingStep& p) {
    using Network = TrainingStep::Network;
    constexpr auto plain = at::MemoryFormat::Contiguous, last = at::MemoryFormat::ChannelsLast;
    switch (p.network) {
        case Network::quickstart: return {training<Quickstart>(p, plain), training<Quickstart>(p, last)};
        case Network::resnet18: return {training<ResNet18>(p, plain), training<ResNet18>(p, last)};
        case Network::language_model: return {training<LanguageModel>(p, plain)};
    }
    return {};
}

Contestants contestants(const RandomFill& p) {
    using Kind = RandomFill::Kind;
    const char* name = p.kind == Kind::uniform ? "uniform_" : p.kind == Kind::normal ? "normal_" : "trunc_normal_";
    return {{"libtorch", name, [p] {
                 const Array<float> memory(p.count);
                 const auto run = [=] {
                     const c10::InferenceMode guard;
                     auto x = wrap(memory, {p.count});
                     if (p.kind == Kind::uniform) x.uniform_();
                     else if (p.kind == Kind::normal) x.normal_();
                     else trunc_normal_(x, 0, 1, -2, 2);
                 };
                 return Call{run, [=](Index i) { return RandomFill::moment(memory.data(), p.count, i); }};
             }}};
}

}  // namespace peers::libtorch
