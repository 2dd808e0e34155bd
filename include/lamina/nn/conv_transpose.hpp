#pragma once
// Transposed convolution layers. While nothing records, weights stay prepared from call to call, a batch normalisation
// behind is folded into them, and an activation runs in the epilogue.
#include <lamina/nn/activation.hpp>
#include <lamina/nn/batch_norm.hpp>
#include <lamina/nn/init.hpp>
#include <lamina/nn/prepared.hpp>
#include <lamina/ops/conv_transpose.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of ConvTranspose2d, in the order of PyTorch's arguments.
struct ConvTranspose2dConfig {
    Size2 kernel, stride = 1;
    Padding2 padding = 0;
    Size2 output_padding = 0;
    Index groups = 1;
    bool bias = true;
    Size2 dilation = 1;
    ConvAlgorithm algorithm = ConvAlgorithm::automatic;
};

/// Learned transposed convolution of [N, in, H, W]; parameter names and initial distribution are
/// torch.nn.ConvTranspose2d's.
template <Real T = float>
struct ConvTranspose2d {
    static constexpr std::string_view kind = "ConvTranspose2d";
    ConvTranspose2dOptions options;
    Parameter<T, 4> weight;  ///< [in, out / groups, kernel height, kernel width]
    std::optional<Parameter<T, 1>> bias;

    /// Zeros; `reset` draws initial values. Throws ValueError when the channels do not divide into the groups.
    ConvTranspose2d(Index in, Index out, const ConvTranspose2dConfig& c)
        : options{.stride = c.stride,
                  .padding = c.padding,
                  .output_padding = c.output_padding,
                  .groups = c.groups,
                  .dilation = c.dilation,
                  .algorithm = c.algorithm},
          weight(weight_shape(in, out, c)) {
        if (c.bias) bias.emplace(Shape{out});
    }
    /// Weight and bias uniform in ±1/sqrt(out / groups * kernel area), as torch counts the fan.
    void reset(random::Rng& rng) { init::fan_in_uniform(weight, bias, rng); }

    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        if (autograd::current_tape()) return observed(*this, conv_transpose2d(x, weight, bias, options));
        return observed(*this, fused(x));
    }
    /// The same with a result of the given height and width.
    Tensor<T, 4> operator()(const Tensor<T, 4>& x, Size2 output_size) const {
        auto o = options;
        o.output_size = output_size;
        return observed(*this, conv_transpose2d(x, weight, bias, o));
    }

    /// A normalisation, an activation, or both in this order.
    template <class Next, class... More>
        requires(is_activation<Next> || std::is_same_v<Next, BatchNorm2d<T>>)
    static constexpr std::size_t absorbs() {
        if constexpr (!is_activation<Next> && sizeof...(More) > 0)
            return 1 + (is_activation<std::tuple_element_t<0, std::tuple<More...>>> ? 1 : 0);
        else return 1;
    }
    template <class... F>
    Tensor<T, 4> fused(const Tensor<T, 4>& x, const Activation<F>&... activation) const {
        const auto g = conv_transpose2d_geometry(x.shape(), weight.shape(), options);
        const auto w = ready_.get_kind(
            choice(g), [&] { return ready(g); }, weight, bias_or_none());
        return run(g, x, w->value, activation...);
    }
    template <class... F>
    Tensor<T, 4> fused(const Tensor<T, 4>& x, const BatchNorm2d<T>& norm, const Activation<F>&... activation) const {
        const auto g = conv_transpose2d_geometry(x.shape(), weight.shape(), options);
        const auto w = ready_.get_kind(
            choice(g), [&] { return ready(g, norm); }, weight, bias_or_none(), norm.scale(), norm.shift(),
            norm.running_mean, norm.running_var);
        return run(g, x, w->value, activation...);
    }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }

private:
    /// Weights as the kernel wants them, those of a normalisation folded in: w s and (b - mean) s + shift, s = scale /
    /// deviation.
    struct Ready {
        Tensor<T, 1> bias;
        kernels::StridedWeights<T> weights;
    };
    Ready ready(const kernels::Conv2dGeometry& g) const {
        return {bias ? contiguous(Tensor<T, 1>(*bias)) : Tensor<T, 1>(),
                kernels::strided_prepare(g, options.algorithm, contiguous(Tensor<T, 4>(weight)).data())};
    }
    Ready ready(const kernels::Conv2dGeometry& g, const BatchNorm2d<T>& norm) const {
        auto w = weight.clone();
        auto b = zeros<T>(Shape{g.in_channels});
        const Index per_group = weight.dim(1), taps = g.taps(), inputs = weight.dim(0) / g.groups;
        T* data = w.mutable_data();
        for (Index o = 0; o < g.in_channels; ++o) {
            const T scale = (norm.scale().defined() ? norm.scale().data()[o] : T(1)) /
                            std::sqrt(norm.running_var.data()[o] + T(norm.options.eps));
            for (Index i = o / per_group * inputs; i < (o / per_group + 1) * inputs; ++i)
                for (Index k = 0; k < taps; ++k) data[(i * per_group + o % per_group) * taps + k] *= scale;
            b.mutable_data()[o] = ((bias ? bias->data()[o] : T(0)) - norm.running_mean.data()[o]) * scale +
                                  (norm.shift().defined() ? norm.shift().data()[o] : T(0));
        }
        return {b, kernels::strided_prepare(g, options.algorithm, (const T*)data)};
    }
    template <class... F>
    Tensor<T, 4> run(const kernels::Conv2dGeometry& g, const Tensor<T, 4>& x, const Ready& w,
                     const Activation<F>&... activation) const {
        auto y = empty<T>(Shape{g.batch, g.in_channels, g.in_h, g.in_w});
        const auto input = contiguous(x);
        const kernels::BiasRows add{w.bias.data()};
        const auto forward = [&](const auto& epilogue) {
            kernels::conv_transpose2d_forward(g, options.algorithm, input.data(), w.weights, y.mutable_data(),
                                              epilogue);
        };
        if constexpr (sizeof...(F) == 0) forward(add);
        else forward(kernels::Then{add, kernels::Apply{activation.function...}});
        return y;
    }
    /// Of the weights that these sizes want.
    Index choice(const kernels::Conv2dGeometry& g) const { return kernels::strided_choice<T>(g, options.algorithm); }
    Tensor<T, 1> bias_or_none() const { return bias ? Tensor<T, 1>(*bias) : Tensor<T, 1>(); }
    static Shape<4> weight_shape(Index in, Index out, const ConvTranspose2dConfig& c) {
        require<ValueError>(c.groups > 0 && in % c.groups == 0 && out % c.groups == 0,
                            "ConvTranspose2d: channels must divide into groups but are ", in, " and ", out, " in ",
                            c.groups);
        return {in, out / c.groups, c.kernel.h, c.kernel.w};
    }
    Prepared<Ready> ready_;
};

/// Options of ConvTranspose1d, in the order of PyTorch's arguments.
struct ConvTranspose1dConfig {
    Index kernel, stride = 1;
    Padding padding = 0;
    Index output_padding = 0, groups = 1;
    bool bias = true;
    Index dilation = 1;
};

/// Learned transposed convolution of [N, in, L]; parameter names and initial distribution are
/// torch.nn.ConvTranspose1d's.
template <Real T = float>
struct ConvTranspose1d {
    static constexpr std::string_view kind = "ConvTranspose1d";
    ConvTranspose1dOptions options;
    Parameter<T, 3> weight;  ///< [in, out / groups, kernel]
    std::optional<Parameter<T, 1>> bias;

    /// Zeros; `reset` draws initial values. Throws ValueError when the channels do not divide into the groups.
    ConvTranspose1d(Index in, Index out, const ConvTranspose1dConfig& c)
        : options{c.stride, c.padding, c.output_padding, c.groups, c.dilation},
          weight(weight_shape(in, out, c)) {
        if (c.bias) bias.emplace(Shape{out});
    }
    /// Weight and bias uniform in ±1/sqrt(out / groups * kernel), as torch counts the fan.
    void reset(random::Rng& rng) { init::fan_in_uniform(weight, bias, rng); }

    Tensor<T, 3> operator()(const Tensor<T, 3>& x) const {
        return observed(*this, conv_transpose1d(x, weight, bias, options));
    }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }

private:
    static Shape<3> weight_shape(Index in, Index out, const ConvTranspose1dConfig& c) {
        require<ValueError>(c.groups > 0 && in % c.groups == 0 && out % c.groups == 0,
                            "ConvTranspose1d: channels must divide into groups but are ", in, " and ", out, " in ",
                            c.groups);
        return {in, out / c.groups, c.kernel};
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
