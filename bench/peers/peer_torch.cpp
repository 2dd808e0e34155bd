// libtorch through ATen alone (torch/torch.h takes several times as long to compile). Each operation races both ways a
// user would write it: with a fresh result, and into a kept one where such a form exists.
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Reduction.h>
#include <torch/version.h>

#include "peer_torch.hpp"

namespace peers::libtorch {
namespace {

// A result to be kept, in huge pages like the inputs.
at::Tensor kept(at::IntArrayRef shape, at::ScalarType type = at::kFloat) {
    const Array<float> a(c10::multiply_integers(shape) * (type == at::kDouble ? 2 : 1));
    return at::from_blob(
        a.data(), shape, [a](void*) {}, type);
}

// f(y) writes into a tensor that stays.
template <class F>
Call into(at::Tensor y, F f) {
    return {[=]() mutable {
                const c10::InferenceMode guard;
                f(y);
            },
            [=](Index i) { return element(y, i); }};
}

template <class T>
Contestants products(const Product<T>& p) {
    const auto a = p.batch > 1 ? wrap(p.a, {p.batch, p.m, p.k}) : wrap(p.a, {p.m, p.k});
    const auto b = p.batch > 1 ? wrap(p.b, {p.batch, p.k, p.n}) : wrap(p.b, {p.k, p.n});
    return {{"libtorch", "matmul", [=] { return fresh([=] { return at::matmul(a, b); }); }},
            {"libtorch", "matmul_out", [=] {
                 return into(kept(at::matmul(a, b).sizes(), a.scalar_type()),
                             [=](at::Tensor& y) { at::matmul_out(y, a, b); });
             }}};
}

}  // namespace

void set_threads(int threads) { at::set_num_threads(threads); }

std::string version() {
    const std::string config = at::show_config(), label = "CPU capability usage: ";
    const auto at = config.find(label);
    return TORCH_VERSION " " +
           (at == config.npos ? "" : config.substr(at + label.size(), config.find('\n', at) - at - label.size()));
}

Contestants contestants(const Product<float>& p) { return products(p); }
Contestants contestants(const Product<double>& p) { return products(p); }

Contestants contestants(const LinearGelu& p) {
    const auto x = wrap(p.x, {p.rows, p.in}), w = wrap(p.weight, {p.out, p.in}), bias = wrap(p.bias, {p.out});
    return {{"libtorch", "linear, gelu", [=] { return fresh([=] { return at::gelu(at::linear(x, w, bias)); }); }},
            {"libtorch", "linear_out, gelu_", [=] {
                 return into(kept({p.rows, p.out}), [=](at::Tensor& y) {
                     at::linear_out(y, x, w, bias);
                     at::gelu_(y);
                 });
             }}};
}

Contestants contestants(const Softmax& p) {
    const auto x = wrap(p.x, {p.rows, p.cols});
    if (p.log)
        return {{"libtorch", "log_softmax", [=] { return fresh([=] { return at::log_softmax(x, 1); }); }},
                {"libtorch", "log_softmax_out",
                 [=] { return into(kept(x.sizes()), [=](at::Tensor& y) { at::_log_softmax_out(y, x, 1, false); }); }}};
    return {{"libtorch", "softmax", [=] { return fresh([=] { return at::softmax(x, 1); }); }},
            {"libtorch", "softmax_out",
             [=] { return into(kept(x.sizes()), [=](at::Tensor& y) { at::_softmax_out(y, x, 1, false); }); }}};
}

Contestants contestants(const LayerNorm& p) {
    const auto x = wrap(p.x, {p.rows, p.cols}), scale = wrap(p.scale, {p.cols}), shift = wrap(p.shift, {p.cols});
    return {
        {"libtorch", "layer_norm", [=] { return fresh([=] { return at::layer_norm(x, {p.cols}, scale, shift); }); }},
        {"libtorch", "native_layer_norm_out", [=] {
             auto mean = at::empty({p.rows, 1}), rstd = at::empty({p.rows, 1});
             return into(kept(x.sizes()), [=](at::Tensor& y) mutable {
                 at::native_layer_norm_out(y, mean, rstd, x, {p.cols}, scale, shift, 1e-5);
             });
         }}};
}

Contestants contestants(const Gelu& p) {
    const auto x = wrap(p.x, {p.rows, p.cols});
    return {
        {"libtorch", "gelu", [=] { return fresh([=] { return at::gelu(x); }); }},
        {"libtorch", "gelu_out", [=] { return into(kept(x.sizes()), [=](at::Tensor& y) { at::gelu_out(y, x); }); }}};
}

Contestants contestants(const AddRelu& p) {
    const auto a = wrap(p.x, {p.count}), b = wrap(p.y, {p.count});
    return {{"libtorch", "add, relu_", [=] { return fresh([=] { return at::add(a, b).relu_(); }); }},
            {"libtorch", "add_out, relu_",
             [=] { return into(kept(a.sizes()), [=](at::Tensor& y) { at::add_out(y, a, b).relu_(); }); }}};
}

Contestants contestants(const Sum& p) {
    const auto x = wrap(p.x, p.shape);
    return {{"libtorch", "sum", [=] { return fresh([=] { return at::sum(x, {p.axis}); }); }},
            {"libtorch", "sum_out", [=] {
                 return into(kept(at::sum(x, {p.axis}).sizes()), [=](at::Tensor& y) { at::sum_out(y, x, {p.axis}); });
             }}};
}

Contestants contestants(const Permute& p) {
    const auto x = wrap(p.x, p.shape);
    return {{"libtorch", "permute, contiguous", [=] { return fresh([=] { return x.permute(p.order).contiguous(); }); }},
            {"libtorch", "permute, copy_", [=] {
                 return into(kept(x.permute(p.order).sizes()), [=](at::Tensor& y) { y.copy_(x.permute(p.order)); });
             }}};
}

Contestants contestants(const CrossEntropy& p) {
    const auto recorded = [p] {
        auto logits = wrap(p.logits, {p.rows, p.classes}).requires_grad_();
        const auto labels = at::from_blob(p.labels.data(), {p.rows}, at::kLong);
        return Call{[=]() mutable {
                        logits.mutable_grad().reset();
                        at::cross_entropy_loss(logits, labels).backward();
                    },
                    [=](Index i) { return element(logits.grad(), i); }};
    };
    // What autograd would call, into tensors that stay.
    const auto by_hand = [p] {
        const auto logits = wrap(p.logits, {p.rows, p.classes}), one = at::ones({});
        const auto labels = at::from_blob(p.labels.data(), {p.rows}, at::kLong);
        auto log_p = kept(logits.sizes()), grad_log_p = kept(logits.sizes());
        return into(kept(logits.sizes()), [=](at::Tensor& grad) mutable {
            at::_log_softmax_out(log_p, logits, 1, false);
            const auto loss = at::nll_loss_forward(log_p, labels, {}, at::Reduction::Mean, -100);
            at::nll_loss_backward_out(grad_log_p, one, log_p, labels, {}, at::Reduction::Mean, -100, std::get<1>(loss));
            at::_log_softmax_backward_data_out(grad, grad_log_p, log_p, 1, at::kFloat);
        });
    };
    return {{"libtorch", "cross_entropy_loss, backward", recorded}, {"libtorch", "by hand, out", by_hand}};
}

}  // namespace peers::libtorch
