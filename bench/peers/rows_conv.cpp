// Convolutions. The weight is known ahead, and whoever can prepares it before the clock starts.
#include <lamina/nn/conv.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;
namespace nn = lamina::nn;

std::string name(const bench::Convolution& c) {
    const auto number = [](Index i) { return std::to_string(i); };
    std::string out = c.groups > 1 ? "depthwise " : "conv ";
    out += number(c.kernel) + "x" + number(c.kernel);
    if (c.stride > 1) out += " s" + number(c.stride);
    out += " " + number(c.in);
    if (c.groups == 1) out += "->" + number(c.out);
    out += " on " + number(c.size);
    if (c.batch > 1) out += ", batch " + number(c.batch);
    return out;
}

Contestant ours_for(const Convolution& c) {
    return {us, "nn::Conv2d", [c] {
                const auto layer = std::make_shared<nn::Conv2d<>>(
                    c.in, c.out,
                    nn::Conv2dConfig{.kernel = c.kernel, .stride = c.stride, .padding = c.padding, .groups = c.groups});
                std::copy_n(c.weight.data(), c.weight.size(), layer->weight.mutable_data());
                std::copy_n(c.bias.data(), c.bias.size(), layer->bias->mutable_data());
                const auto x = tensor(c.x, Shape{c.batch, c.in, c.size, c.size});
                return fresh([=] { return (*layer)(x); });
            }};
}

Contestant ours_for(const ConvolutionStep& c) {
    return {us, "conv2d, backward", [c] {
                const auto& f = c.forward;
                const auto x = lamina::autograd::leaf(tensor(f.x, Shape{f.batch, f.in, f.size, f.size}));
                const auto w = lamina::autograd::leaf(tensor(f.weight, Shape{f.out, f.in, f.kernel, f.kernel}));
                const auto dy = tensor(c.dy, Shape{f.batch, f.out, f.result(), f.result()});
                const auto run = [=] {
                    lamina::autograd::zero_grad(x);
                    lamina::autograd::zero_grad(w);
                    lamina::autograd::Tape tape;
                    const auto y = conv2d(x, w, {}, {.padding = f.padding});
                    tape.backward(y, dy);
                };
                return Call{run, [=](Index i) { return double(lamina::autograd::grad(w).data()[i]); }};
            }};
}

}  // namespace

void add_conv_rows(Rows& rows) {
    for (const auto& s : bench::convolutions) {
        // Nothing is said of Winograd: its rows exceed the limit of the plain sum.
        const double flops =
            2.0 * double(s.batch * s.out * s.result() * s.result()) * double(s.in / s.groups * s.kernel * s.kernel);
        rows.push_back({.name = name(s),
                        .limit = arithmetic(flops),
                        .outputs = s.batch * s.out * s.result() * s.result(),
                        .tolerance = 1e-4,
                        .contestants = [=] {
                            const Convolution c(s);
                            return race(c, {ours_for(c)});
                        }});
    }
    constexpr auto s = bench::training_convolution;
    rows.push_back({.name = "conv 3x3 64->64 on 28, batch 32, training step",
                    .limit = arithmetic(3 * 2.0 * double(s.batch * s.out * s.size * s.size * s.in * 9)),
                    .outputs = s.out * s.in * 9,
                    .tolerance = 1e-4,
                    .contestants = [=] {
                        const ConvolutionStep c{.forward = Convolution(s)};
                        return race(c, {ours_for(c)});
                    }});
}

}  // namespace peers
