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
