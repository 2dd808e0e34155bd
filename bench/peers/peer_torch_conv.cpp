// libtorch's convolutions and what stands beside them in image networks, in both of its memory formats.
#include "peer_torch.hpp"

namespace peers::libtorch {
namespace {

// The same workload on tensors in both formats.
template <class Make>
Contestants both_formats(const std::string& name, Make make) {
    Contestants out;
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast})
        out.push_back({"libtorch", name + (format == at::MemoryFormat::ChannelsLast ? ", channels last" : ""),
                       [=] { return make(format); }});
    return out;
}

}  // namespace

Contestants contestants(const Convolution& c) {
    return both_formats("conv2d", [c](at::MemoryFormat format) {
        const auto x = wrap(c.x, {c.batch, c.in, c.size, c.size}).contiguous(format);
        const auto w = wrap(c.weight, {c.out, c.in / c.groups, c.kernel, c.kernel}).contiguous(format);
        const auto b = wrap(c.bias, {c.out});
        return fresh([=] { return at::conv2d(x, w, b, c.stride, c.padding, 1, c.groups); });
    });
}

Contestants contestants(const TransposedConvolution& c) {
    return both_formats("conv_transpose2d", [c](at::MemoryFormat format) {
        const auto x = wrap(c.x, {1, c.in, c.size, c.size}).contiguous(format);
        const auto w = wrap(c.weight, {c.in, c.out, c.kernel, c.kernel}).contiguous(format);
        return fresh([=] { return at::conv_transpose2d(x, w, {}, c.stride, c.padding); });
    });
}

Contestants contestants(const ConvolutionStep& c) {
    return both_formats("conv2d, backward", [c](at::MemoryFormat format) {
        const Convolution& f = c.forward;
        auto x = wrap(f.x, {f.batch, f.in, f.size, f.size}).clone(format).requires_grad_();
        auto w = wrap(f.weight, {f.out, f.in, f.kernel, f.kernel}).clone(format).requires_grad_();
        const auto dy = wrap(c.dy, {f.batch, f.out, f.result(), f.result()}).contiguous(format);
        return Call{[=]() mutable {
                        x.mutable_grad().reset();
                        w.mutable_grad().reset();
                        at::conv2d(x, w, {}, 1, f.padding).backward(dy);
                    },
                    [=](Index i) { return element(w.grad(), i); }};
    });
}

Contestants contestants(const PixelShuffle& p) {
    const auto x = wrap(p.x, {1, p.channels, p.size, p.size});
    return {{"libtorch", "pixel_shuffle", [=] { return fresh([=] { return at::pixel_shuffle(x, p.factor); }); }}};
}

Contestants contestants(const Upsample& p) {
    return both_formats("upsample", [p](at::MemoryFormat format) {
        const auto x = wrap(p.x, {1, p.channels, p.size, p.size}).contiguous(format);
        const Index size[] = {2 * p.size, 2 * p.size};
        return fresh([=] {
            switch (p.mode) {
                case Upsample::Mode::nearest: return at::upsample_nearest2d(x, size);
                case Upsample::Mode::bilinear: return at::upsample_bilinear2d(x, size, false);
                default: return at::upsample_bicubic2d(x, size, false);
            }
        });
    });
}

Contestants contestants(const GroupNormSilu& p) {
    const auto x = wrap(p.x, {1, p.channels, p.size, p.size}), scale = wrap(p.scale, {p.channels}),
               shift = wrap(p.shift, {p.channels});
    return {{"libtorch", "group_norm, silu_", [=] {
                 return fresh([=] {
                     auto y = at::group_norm(x, p.groups, scale, shift);
                     return at::silu_(y);
                 });
             }}};
}

Contestants contestants(const BatchNormTraining& p) {
    return both_formats("batch_norm", [p](at::MemoryFormat format) {
        const auto x = wrap(p.x, {p.batch, p.channels, p.size, p.size}).contiguous(format);
        const auto scale = wrap(p.scale, {p.channels}), shift = wrap(p.shift, {p.channels});
        const auto mean = at::zeros({p.channels}), var = at::ones({p.channels});
        return fresh([=] { return std::get<0>(at::native_batch_norm(x, scale, shift, mean, var, true, 0.1, 1e-5)); });
    });
}

Contestants contestants(const MaxPool& p) {
    return both_formats("max_pool2d", [p](at::MemoryFormat format) {
        const auto x = wrap(p.x, {1, p.channels, p.size, p.size}).contiguous(format);
        return fresh([=] { return at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1}); });
    });
}

}  // namespace peers::libtorch
