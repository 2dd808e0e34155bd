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

}  // namespace peers::libtorch
