// Attention with and without softmax, and the layers made of it.
#include <lamina/autograd/tape.hpp>
#include <lamina/nn/flash.hpp>
#include <lamina/nn/transformer.hpp>
#include <lamina/ops/attention.hpp>
#include <lamina/ops/linear_attention_forms.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;
using lamina::Tensor;
namespace nn = lamina::nn;

// f(q, k, v); with `training` also its gradients, one after the other.
template <class Problem, class F>
Contestant mixing(std::string variant, const Problem& p, const Shape<4>& queries, const Shape<4>& keys, F f) {
    // The contestant holds `p`, whose arrays the tensors borrow.
    return {
        us, std::move(variant), [=] {
            const auto q = tensor(p.q, queries), k = tensor(p.k, keys), v = tensor(p.v, keys);
            if (!p.training) return fresh([=] { return f(q, k, v); });
            const std::array inputs{lamina::autograd::leaf(q), lamina::autograd::leaf(k), lamina::autograd::leaf(v)};
            const auto dy = tensor(p.dy, queries);
            const auto run = [=] {
                for (const auto& x : inputs) lamina::autograd::zero_grad(x);
                lamina::autograd::Tape tape;
                tape.backward(f(inputs[0], inputs[1], inputs[2]), dy);
            };
            return Call{run, [=](Index i) {
                            std::size_t which = 0;
                            for (; i >= inputs[which].numel(); ++which) i -= inputs[which].numel();
                            return double(lamina::autograd::grad(inputs[which]).data()[i]);
                        }};
        }};
}

Row attention_row(std::string name, Index batch, Index heads, Index queries, Index keys, Index width,
                  bool causal = false, bool training = false) {
    // Two products forward; backward one of them again, since the weights are not kept, and four for the gradients.
    const double pairs = causal ? double(queries) * double(keys + 1) / 2 : double(queries) * double(keys);
    const double flops = 2.0 * double(batch * heads) * pairs * double(width) * (training ? 7 : 2);
    const Index results = batch * heads * width * (training ? queries + 2 * keys : queries);
    return {std::move(name), arithmetic(flops), results, 1e-4, [=] {
                const Attention p{.batch = batch,
                                  .heads = heads,
                                  .queries = queries,
                                  .keys = keys,
                                  .width = width,
                                  .causal = causal,
                                  .training = training};
                const lamina::AttentionOptions how{.causal = causal ? lamina::Causal::top_left : lamina::Causal::none};
                const auto ours =
                    mixing("scaled_dot_product_attention", p, Shape{batch, heads, queries, width},
                           Shape{batch, heads, keys, width}, [=](const auto& q, const auto& k, const auto& v) {
                               return scaled_dot_product_attention(q, k, v, how);
                           });
                return race(p, {ours});
            }};
}

Row linear_row(std::string name, bool causal, bool training) {
    constexpr Index heads = 8, n = 16384, width = 64;
    // The sums and their use. Neither the pairs within a chunk nor what gradients make again are counted.
    const double flops = 2.0 * double(heads * n * width * width) * 2 * (training ? 3 : 1);
    return {std::move(name), arithmetic(flops), heads * n * width * (training ? 3 : 1), 1e-4, [=] {
                const LinearAttention p{.heads = heads, .n = n, .width = width, .causal = causal, .training = training};
                const Shape<4> shape{Index(1), heads, n, width};
                const lamina::LinearAttentionOptions how{.causal = causal};
                return race(p,
                            {mixing("elu_attention", p, shape, shape, [=](const auto& q, const auto& k, const auto& v) {
                                return elu_attention(q, k, v, how);
                            })});
            }};
}

template <class Layer, class Problem>
void draw(Layer& layer, Problem& p) {
    lamina::random::Rng rng(1);
    nn::reset_parameters(layer, rng);
    nn::for_each_tensor(layer, [&](const std::string& key, auto& value) {
        Array<float> copy(value.numel());
        // Queries and keys large enough for the attention to count.
        if (key.ends_with("gamma")) copy = noise(value.numel(), 5);
        else std::copy_n(value.data(), value.numel(), copy.data());
        for (Index i = 0; key.ends_with("gamma") && i < value.numel(); ++i) value.mutable_data()[i] = copy[i] *= 4;
        p.weights.emplace(key, copy);
    });
}

// Forward, or forward and backward with respect to input and parameters; the gradient of result(layer) is shown.
template <class Layer, class Problem, class Result>
Contestant contestant_of(std::string variant, const std::shared_ptr<Layer>& layer, const Problem& p,
                         const Shape<3>& shape, Result result) {
    return {us, std::move(variant), [=] {
                const auto x = tensor(p.x, shape);
                if (!p.training) return fresh([=] { return (*layer)(x); });
                const auto input = lamina::autograd::leaf(x), dy = tensor(p.dy, shape);
                const auto run = [=] {
                    nn::zero_grad(*layer);
                    lamina::autograd::zero_grad(input);
                    lamina::autograd::Tape tape;
                    tape.backward((*layer)(input), dy);
                };
                return Call{run, [=](Index i) { return double(lamina::autograd::grad(result(*layer)).data()[i]); }};
            }};
}

Row gau_row(std::string name, bool training) {
    constexpr Index n = 4096, d = 512, e = 1024, s = 128;
    const double projections = double(n) * d * (2 * e + s) + double(n) * e * d;
    const double pairs = double(n) * n * (training ? 4 * s + 3 * e : s + e);
    const double flops = 2 * (projections * (training ? 3 : 1) + pairs);
    return {std::move(name), arithmetic(flops), training ? s * d : n * d, 1e-4, [=] {
                GatedLayer p{.kind = GatedLayer::Kind::gau, .n = n, .training = training};
                const auto layer = std::make_shared<nn::GAU<>>(d, nn::GauConfig{.relative_bias = false});
                draw(*layer, p);
                return race(p, {contestant_of("nn::GAU", layer, p, Shape{Index(1), n, d},
                                              [](const nn::GAU<>& l) { return l.to_qk.weight; })});
            }};
}

Row flash_row(std::string name, bool training) {
    constexpr Index n = 16384, d = 512, e = 1024, s = 128, group = 256;
    const double projections = double(n) * d * (2 * e + s) + double(n) * e * d;
    const double pairs = double(n) * double(group + 1) / 2 * (training ? 4 * s + 3 * e : s + e);
    const double sums = double(n) * s * e * 2;
    const double flops = 2 * ((projections + sums) * (training ? 3 : 1) + pairs);
    return {std::move(name), arithmetic(flops), training ? s * d : n * d, 1e-4, [=] {
                GatedLayer p{.kind = GatedLayer::Kind::flash, .n = n, .training = training};
                const auto layer = std::make_shared<nn::FLASH<>>(d, nn::FlashConfig{.causal = true});
                draw(*layer, p);
                return race(p, {contestant_of("nn::FLASH", layer, p, Shape{Index(1), n, d},
                                              [](const nn::FLASH<>& l) { return l.to_qk.weight; })});
            }};
}

Row encoder_row(std::string name, bool training) {
    constexpr Index batch = 8, n = 512, d = 512, heads = 8, hidden = 2048;
    const double products = double(batch * n) * d * (4 * d + 2 * hidden);
    const double pairs = double(batch) * n * n * d * (training ? 7 : 2);
    const double flops = 2 * (products * (training ? 3 : 1) + pairs);
    // Rounding turns a ReLU here and there, and with it a whole row of gradients.
    return {std::move(name), arithmetic(flops), training ? 3 * d * d : batch * n * d, training ? 1e-3 : 1e-4, [=] {
                EncoderLayer p{
                    .batch = batch, .n = n, .width = d, .heads = heads, .hidden = hidden, .training = training};
                const auto layer = std::make_shared<nn::TransformerEncoderLayer<>>(
                    d, heads, nn::TransformerConfig{.dim_feedforward = hidden, .dropout = 0, .batch_first = true});
                draw(*layer, p);
                return race(p, {contestant_of("nn::TransformerEncoderLayer", layer, p, Shape{batch, n, d},
                                              [](const auto& l) { return *l.self_attn.in_proj_weight; })});
            }};
}

}  // namespace

void add_attention_rows(Rows& rows) {
    rows.push_back(attention_row("attention 8 heads 4096x4096 d40", 1, 8, 4096, 4096, 40));
    rows.push_back(attention_row("attention 8 heads 4096x77 d40", 1, 8, 4096, 77, 40));
    rows.push_back(attention_row("attention 12 heads 1024x1024 d64", 1, 12, 1024, 1024, 64));
    rows.push_back(attention_row("attention causal 12 heads 2048x2048 d64", 1, 12, 2048, 2048, 64, true));
    rows.push_back(attention_row("attention batch 8, 8 heads 128x128 d64", 8, 8, 128, 128, 64));
    rows.push_back(
        attention_row("attention batch 8, 8 heads 128x128 d64, training step", 8, 8, 128, 128, 64, false, true));
    rows.push_back(
        attention_row("attention batch 4, 8 heads 512x512 d64, training step", 4, 8, 512, 512, 64, false, true));
    rows.push_back(attention_row("attention decode 12 heads 1x2048 d64", 1, 12, 1, 2048, 64));
    rows.push_back(linear_row("linear attention 8 heads 16384 d64", false, false));
    rows.push_back(linear_row("linear attention 8 heads 16384 d64, training step", false, true));
    rows.push_back(linear_row("linear attention causal 8 heads 16384 d64", true, false));
    rows.push_back(linear_row("linear attention causal 8 heads 16384 d64, training step", true, true));
    rows.push_back(gau_row("GAU 4096 d512 e1024 s128", false));
    rows.push_back(gau_row("GAU 4096 d512 e1024 s128, training step", true));
    rows.push_back(flash_row("FLASH causal 16384 d512 e1024 s128", false));
    rows.push_back(flash_row("FLASH causal 16384 d512 e1024 s128, training step", true));
    rows.push_back(encoder_row("encoder layer d512 h8 ff2048, batch 8x512", false));
    rows.push_back(encoder_row("encoder layer d512 h8 ff2048, batch 8x512, training step", true));
}

}  // namespace peers
