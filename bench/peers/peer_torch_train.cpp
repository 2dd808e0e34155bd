// libtorch's optimizer and its file format, apart from the rest because their headers are slow to compile.
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
#include <torch/serialize.h>

// It does not include what it uses.
#include <torch/nn/utils/clip_grad.h>

#include "peers.hpp"

namespace peers::libtorch {

Contestants contestants(const OptimizerStep& p) {
    // libtorch has no Lion; this is how its users write one.
    const auto lion = [p](std::vector<at::Tensor>& parameters, std::vector<at::Tensor>& moments) {
        const at::NoGradGuard guard;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            auto &w = parameters[i], &m = moments[i];
            const auto& g = w.grad();
            w.mul_(1 - p.learning_rate * p.weight_decay);
            w.add_((m * p.beta1).add_(g, 1 - p.beta1).sign_(), -p.learning_rate);
            m.mul_(p.beta2).add_(g, 1 - p.beta2);
        }
    };
    const auto prepare = [=] {
        struct State {
            std::vector<at::Tensor> parameters, moments;
            std::shared_ptr<torch::optim::Optimizer> optimizer;
            int calls = 0;
        };
        const auto s = std::make_shared<State>();
        for (const Index n : p.sizes) {
            s->parameters.push_back(at::ones({n}).requires_grad_());
            s->parameters.back().mutable_grad() = at::from_blob(p.gradient.data(), {n}, at::kFloat).clone();
            if (p.method == "Lion") s->moments.push_back(at::zeros({n}));
        }
        if (p.method == "AdamW") {
            auto options = torch::optim::AdamWOptions(p.learning_rate).betas({p.beta1, p.beta2});
            options.eps(p.epsilon).weight_decay(p.weight_decay);
            s->optimizer = std::make_shared<torch::optim::AdamW>(s->parameters, options);
        } else if (p.method == "Adam") {
            auto options = torch::optim::AdamOptions(p.learning_rate).betas({p.beta1, p.beta2});
            options.eps(p.epsilon).weight_decay(p.weight_decay);
            s->optimizer = std::make_shared<torch::optim::Adam>(s->parameters, options);
        } else if (p.method == "SGD") {
            auto options = torch::optim::SGDOptions(p.learning_rate).momentum(p.momentum);
            s->optimizer = std::make_shared<torch::optim::SGD>(s->parameters, options);
        }
        const bool clips = p.method == "clip";
        const auto run = [=] {
            if (clips) torch::nn::utils::clip_grad_norm_(s->parameters, OptimizerStep::max_norm(s->calls++));
            else if (s->optimizer) s->optimizer->step();
            else lion(s->parameters, s->moments);
        };
        const auto at = [=](std::size_t array, Index i) {
            const at::Tensor& w = s->parameters[array];
            return double((clips ? w.grad() : w).data_ptr<float>()[i]);
        };
        return Call{run, [=](Index i) { return p.element(i, at); }};
    };
    const std::string name = p.method == "clip"   ? "torch::nn::utils::clip_grad_norm_"
                             : p.method == "Lion" ? "Lion from at:: operations"
                                                  : "torch::optim::" + p.method;
    return {{"libtorch", name, prepare}};
}

Contestants contestants(const LoadWeights& p) {
    return {{"libtorch", "torch::load", [p] {
                 const auto path = p.folder + "/weights.pt";
                 std::vector<at::Tensor> weights;
                 for (Index i = 0; i < p.tensors; ++i) weights.push_back(at::full({p.rows, p.cols}, double(i)));
                 torch::save(weights, path);
                 auto loaded = std::make_shared<std::vector<at::Tensor>>();
                 return Call{
                     [=] {
                         loaded->clear();
                         torch::load(*loaded, path);
                     },
                     [=](Index i) {
                         return (*loaded)[std::size_t(i / (p.rows * p.cols))].data_ptr<float>()[i % (p.rows * p.cols)];
                     }};
             }}};
}

Contestants contestants(const NetworkStep& p) {
    return {{"libtorch", "conv2d, batch_norm and so on, torch::optim::AdamW", [p] {
                 std::vector<at::Tensor> w;
                 const auto add = [&](at::IntArrayRef shape, Index fan_in, float value) {
                     w.push_back(at::empty(shape));
                     NetworkStep::initialize(w.back().data_ptr<float>(), w.back().numel(), fan_in, value);
                     w.back().requires_grad_();
                 };
                 const auto add_convolution = [&](Index out, Index in) {
                     add({out, in, 3, 3}, in * 9, 0);
                     add({out}, 0, 0);
                     add({out}, 0, 1);
                     add({out}, 0, 0);
                 };
                 const auto add_linear = [&](Index out, Index in) {
                     add({out, in}, in, 0);
                     add({out}, 0, 0);
                 };
                 add_convolution(16, 1);
                 add_convolution(32, 16);
                 add_linear(128, 32 * 7 * 7);
                 add_linear(10, 128);
                 auto options = torch::optim::AdamWOptions(p.learning_rate);
                 options.weight_decay(p.weight_decay);
                 const auto optimizer = std::make_shared<torch::optim::AdamW>(w, options);
                 const auto mean1 = at::zeros({16}), var1 = at::ones({16}), mean2 = at::zeros({32}),
                            var2 = at::ones({32});
                 const auto images = at::from_blob(p.images.data(), {p.batch, 1, 28, 28}, at::kFloat);
                 const auto labels = at::from_blob(p.labels.data(), {p.batch}, at::kLong);
                 const auto loss = std::make_shared<at::Tensor>();
                 const auto run = [=] {
                     auto x = at::conv2d(images, w[0], w[1], 1, 1);
                     x = at::batch_norm(x, w[2], w[3], mean1, var1, true, 0.1, 1e-5, false).relu_();
                     x = at::conv2d(at::max_pool2d(x, {2, 2}), w[4], w[5], 1, 1);
                     x = at::batch_norm(x, w[6], w[7], mean2, var2, true, 0.1, 1e-5, false).relu_();
                     x = at::linear(at::max_pool2d(x, {2, 2}).flatten(1), w[8], w[9]).relu_();
                     *loss = at::cross_entropy_loss(at::linear(x, w[10], w[11]), labels);
                     optimizer->zero_grad();
                     loss->backward();
                     optimizer->step();
                 };
                 return Call{run, [=](Index) { return loss->item<double>(); }};
             }}};
}

}  // namespace peers::libtorch
