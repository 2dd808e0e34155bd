#pragma once
// Deformable convolution layers: with offsets from outside, and predicting its own. While nothing records, the latter
// keeps its weights prepared, a batch normalisation behind it folded in, and runs an activation in its epilogue.
#include <lamina/nn/conv.hpp>
#include <lamina/ops/activation.hpp>
#include <lamina/ops/deform_conv.hpp>
#include <lamina/ops/slice.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of DeformConv2d and of DCNv2.
struct DeformConv2dConfig {
    Size2 kernel, stride = 1, padding = 0, dilation = 1;
    Index groups = 1;
    bool bias = true;
    Index offset_groups = 1;  ///< parts of the channels with offsets of their own; DeformConv2d sees them in the offset
};

/// Learned deformable convolution of [N, in, H, W] whose offsets and mask are arguments; parameter names and initial
/// distribution are torchvision.ops.DeformConv2d's.
template <Real T = float>
struct DeformConv2d {
    static constexpr std::string_view kind = "DeformConv2d";
    DeformConv2dOptions options;
    Parameter<T, 4> weight;  ///< [out, in / groups, kernel height, kernel width]
    std::optional<Parameter<T, 1>> bias;

    /// Zeros; `reset` draws initial values. Throws ValueError when the channels do not divide into the groups.
    DeformConv2d(Index in, Index out, const DeformConv2dConfig& c)
        : options{c.stride, c.padding, c.dilation},
          weight(weight_shape(in, out, c)) {
        if (c.bias) bias.emplace(Shape{out});
    }
    /// Weight and bias uniform in ±1/sqrt(in / groups * kernel area).
    void reset(random::Rng& rng) { init::fan_in_uniform(weight, bias, rng); }

    Tensor<T, 4> operator()(const Tensor<T, 4>& x, const Tensor<T, 4>& offset, const Optional<T, 4>& mask = {}) const {
        return observed(*this, deform_conv2d(x, offset, weight, bias, options, mask));
    }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }

private:
    static Shape<4> weight_shape(Index in, Index out, const DeformConv2dConfig& c) {
        require<ValueError>(c.groups > 0 && in % c.groups == 0 && out % c.groups == 0,
                            "DeformConv2d: channels must divide into groups but are ", in, " and ", out, " in ",
                            c.groups);
        return {out, in / c.groups, c.kernel.h, c.kernel.w};
    }
};

/// Modulated deformable convolution of [N, in, H, W] that predicts its offsets and its mask by a convolution of its
/// own, which begins at zero: no offsets, every mask one half (Zhu et al. 2019). Parameter names are those of DCNv2 as
/// CenterNet has it: `weight`, `bias`, `conv_offset_mask`. Of that convolution's channels the first two thirds are the
/// offsets in the order of deform_conv2d, the others the mask before its sigmoid.
template <Real T = float>
struct DCNv2 {
    static constexpr std::string_view kind = "DCNv2";
    DeformConv2dOptions options;
    Parameter<T, 4> weight;  ///< [out, in, kernel height, kernel width]
    std::optional<Parameter<T, 1>> bias;
    /// A convolution that begins at zero.
    struct Predictor : Conv2d<T> {
        using Conv2d<T>::Conv2d;
        void reset(random::Rng&) {
            this->weight.fill(T(0));
            this->bias->fill(T(0));
        }
    } conv_offset_mask;

    /// Zeros; `reset` draws initial values. Throws ValueError for groups, which it has none of, and for offset groups
    /// that the channels do not divide into.
    DCNv2(Index in, Index out, const DeformConv2dConfig& c)
        : options{c.stride, c.padding, c.dilation},
          weight(weight_shape(in, out, c)),
          conv_offset_mask(in, 3 * c.offset_groups * c.kernel.h * c.kernel.w,
                           {.kernel = c.kernel,
                            .stride = c.stride,
                            .padding = Padding2(Padding(c.padding.h), Padding(c.padding.w)),
                            .dilation = c.dilation}) {
        if (c.bias) bias.emplace(Shape{out});
    }
    /// Weight uniform in ±1/sqrt(in * kernel area), bias zero.
    void reset(random::Rng& rng) {
        std::optional<Parameter<T, 1>> none;
        init::fan_in_uniform(weight, none, rng);
        if (bias) bias->fill(T(0));
    }

    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        if (!autograd::current_tape()) return observed(*this, fused(x));
        const auto [offset, mask] = predict(x);
        return observed(*this, deform_conv2d(x, offset, weight, bias, options, mask));
    }

    /// A normalisation, an activation, or both in this order.
    template <class Next, class... More>
        requires(is_activation<Next> || is_batch_norm<Next>)
    static constexpr std::size_t absorbs() {
        if constexpr (is_batch_norm<Next> && sizeof...(More) > 0)
            return 1 + (is_activation<std::tuple_element_t<0, std::tuple<More...>>> ? 1 : 0);
        else return 1;
    }
    template <class... F>
    Tensor<T, 4> fused(const Tensor<T, 4>& x, const Activation<F>&... activation) const {
        const auto make = [&](const kernels::DeformGeometry& g) {
            return Ready{bias ? contiguous(Tensor<T, 1>(*bias)) : Tensor<T, 1>(),
                         kernels::deform_conv2d_prepare(g, contiguous(Tensor<T, 4>(weight)).data())};
        };
        return run(
            x, [&](const auto& g) { return ready_.get([&] { return make(g); }, weight, bias_or_none()); },
            activation...);
    }
    template <class Norm, class... F>
        requires is_batch_norm<Norm> Tensor<T, 4> fused(const Tensor<T, 4>& x, const Norm& norm,
                                                        const Activation<F>&... activation)
    const {
        const auto make = [&](const kernels::DeformGeometry& g) {
            const auto [w, b] = detail::fold_norm<T>(weight, bias_or_none(), norm);
            return Ready{b, kernels::deform_conv2d_prepare(g, w.data())};
        };
        return run(
            x,
            [&](const auto& g) {
                return ready_.get([&] { return make(g); }, weight, bias_or_none(), norm.scale(), norm.shift(),
                                  norm.running_mean, norm.running_var);
            },
            activation...);
    }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
        visit("conv_offset_mask", self.conv_offset_mask);
    }

private:
    /// Weights as the kernel wants them, those of a normalisation folded in.
    struct Ready {
        Tensor<T, 1> bias;
        kernels::DeformWeights<T> weights;
    };
    /// Where and how strongly the taps read.
    struct Field {
        Tensor<T, 4> offset, mask;
    };
    Field predict(const Tensor<T, 4>& x) const {
        const auto predicted = conv_offset_mask(x);
        const Index masks = predicted.dim(1) / 3;
        return {narrow(predicted, 1, 0, 2 * masks), sigmoid(narrow(predicted, 1, 2 * masks, masks))};
    }
    /// `ready(geometry)` are the weights.
    template <class GetReady, class... F>
    Tensor<T, 4> run(const Tensor<T, 4>& x, GetReady&& ready, const Activation<F>&... activation) const {
        const auto [shifts, factors] = predict(x);
        const auto offset = contiguous(shifts), mask = contiguous(factors), input = contiguous(x);
        const auto shape = mask.shape();
        const auto g = deform_conv2d_geometry(x.shape(), offset.shape(), weight.shape(), options, &shape);
        const auto w = ready(g);
        auto y = empty<T>(Shape{g.batch, g.out_channels, g.out_h, g.out_w});
        const auto forward = [&](const auto& epilogue) {
            kernels::deform_conv2d_forward(g, input.data(), offset.data(), mask.data(), w->value.weights,
                                           y.mutable_data(), epilogue);
        };
        const kernels::BiasRows add{w->value.bias.data()};
        if constexpr (sizeof...(F) == 0) forward(add);
        else forward(kernels::Then{add, kernels::Apply{activation.function...}});
        return y;
    }
    Tensor<T, 1> bias_or_none() const { return bias ? Tensor<T, 1>(*bias) : Tensor<T, 1>(); }
    static Shape<4> weight_shape(Index in, Index out, const DeformConv2dConfig& c) {
        require<ValueError>(c.groups == 1, "DCNv2: groups must be 1 but are ", c.groups);
        require<ValueError>(c.offset_groups > 0 && in % c.offset_groups == 0,
                            "DCNv2: channels must divide into offset groups but are ", in, " in ", c.offset_groups);
        return {out, in, c.kernel.h, c.kernel.w};
    }
    Prepared<Ready> ready_;
};

}  // namespace lamina::inline LAMINA_ABI::nn
