// libtorch's optimizer and its file format, apart from the rest because their headers are slow to compile.
#include <torch/optim/adamw.h>
#include <torch/serialize.h>

#include "peers.hpp"

namespace peers::libtorch {

Contestants contestants(const AdamWStep& p) {
    return {{"libtorch", "torch::optim::AdamW", [p] {
                 std::vector<at::Tensor> parameters;
                 for (Index i = 0; i < p.tensors; ++i) {
                     parameters.push_back(at::ones({p.rows, p.cols}).requires_grad_());
                     parameters.back().mutable_grad() =
                         at::from_blob(p.gradient.data(), {p.rows, p.cols}, at::kFloat).clone();
                 }
                 auto options = torch::optim::AdamWOptions(p.learning_rate).betas({p.beta1, p.beta2});
                 options.eps(p.epsilon).weight_decay(p.weight_decay);
                 auto optimizer = std::make_shared<torch::optim::AdamW>(parameters, options);
                 const Index each = p.rows * p.cols;
                 return Call{[=] { optimizer->step(); },
                             [=](Index i) { return parameters[std::size_t(i / each)].data_ptr<float>()[i % each]; }};
             }}};
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
