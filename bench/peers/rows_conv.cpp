// Convolutions. The weight is known ahead, and whoever can prepares it before the clock starts.
#include <lamina/nn/conv.hpp>
#include <lamina/nn/conv_transpose.hpp>
#include <lamina/ops/deform_conv.hpp>

#include <cstdio>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;
namespace nn = lamina::nn;

std::string name(const bench::Convolution& c) {
    char text[96];
    int n =
        std::snprintf(text, sizeof text, "%s %dx%d", c.groups > 1 ? "depthwise" : "conv", int(c.kernel), int(c.kernel));
    const auto add = [&](const char* format, auto... numbers) {
        n += std::snprintf(text + n, sizeof text - std::size_t(n), format, int(numbers)...);
    };
    if (c.stride > 1) add(" s%d", c.stride);
    add(" %d", c.in);
    if (c.groups == 1) add("->%d", c.out);
    add(" on %d", c.size);
    if (c.batch > 1) add(", batch %d", c.batch);
    return text;
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

Contestant ours_for(const TransposedConvolution& c) {
    return {
        us, "nn::ConvTranspose2d", [c] {
            const auto layer = std::make_shared<nn::ConvTranspose2d<>>(
                c.in, c.out,
                nn::ConvTranspose2dConfig{.kernel = c.kernel, .stride = c.stride, .padding = c.padding, .bias = false});
            std::copy_n(c.weight.data(), c.weight.size(), layer->weight.mutable_data());
            const auto x = tensor(c.x, Shape{Index(1), c.in, c.size, c.size});
            return fresh([=] { return (*layer)(x); });
        }};
}

Contestant ours_for(const DeformedConvolution& c) {
    // The contestant holds `c`, whose arrays everyone borrows.
    return {us, "deform_conv2d", [c] {
                const auto x = tensor(c.x, Shape{Index(1), c.channels, c.size, c.size});
                const auto offset = tensor(c.offset, Shape{Index(1), Index(18), c.size, c.size});
                const auto w = tensor(c.weight, Shape{c.channels, c.channels, Index(3), Index(3)});
                return fresh([=] { return deform_conv2d(x, offset, w, {}, {.padding = 1}); });
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
    rows.push_back({.name = "conv_transpose 4x4 s2 256->128 on 32",
                    .limit = arithmetic(2.0 * 256 * 128 * 16 * 32 * 32),
                    .outputs = 128 * 64 * 64,
                    .tolerance = 1e-4,
                    .contestants = [] {
                        const TransposedConvolution c{
                            .in = 256, .out = 128, .size = 32, .kernel = 4, .stride = 2, .padding = 1};
                        return race(c, {ours_for(c)});
                    }});
    rows.push_back({.name = "deform_conv2d 3x3 64->64 on 64",
                    .limit = arithmetic(2.0 * 64 * 64 * 9 * 64 * 64),
                    .outputs = 64 * 64 * 64,
                    .tolerance = 1e-4,
                    .contestants = [] {
                        const DeformedConvolution c{.channels = 64, .size = 64};
                        return race(c, {ours_for(c)});
                    }});
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
