#pragma once
// The convolution layer. While nothing records, a batch normalisation behind it is folded into its weights, and a
// residual sum and an activation run in its epilogue.
#include <lamina/nn/activation.hpp>
#include <lamina/nn/batch_norm.hpp>
#include <lamina/nn/folded_norm.hpp>
#include <lamina/nn/init.hpp>
#include <lamina/nn/into.hpp>
#include <lamina/nn/plus.hpp>
#include <lamina/nn/prepared.hpp>
#include <lamina/nn/times.hpp>
#include <lamina/ops/conv.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of Conv2d.
struct Conv2dConfig {
    Size2 kernel, stride = 1;
    Padding2 padding = 0;
    Size2 dilation = 1;
    Index groups = 1;
    bool bias = true;
    PadMode padding_mode = PadMode::constant;  ///< what the margins hold; constant means zeros
    ConvAlgorithm algorithm = ConvAlgorithm::automatic;
};

/// A convolution and what follows it, ready to run.
template <class Weights, class Epilogue>
struct ConvStage {
    kernels::Conv2dGeometry geometry;
    Weights weights;
    Epilogue epilogue;
};
template <class Weights, class Epilogue>
ConvStage(kernels::Conv2dGeometry, Weights, Epilogue) -> ConvStage<Weights, Epilogue>;

/// Learned 2-D convolution of [N, in, H, W]; parameter names and initial distribution are torch.nn.Conv2d's.
template <Real T = float>
struct Conv2d {
    static constexpr std::string_view kind = "Conv2d";
    Conv2dOptions options;
    Parameter<T, 4> weight;  ///< [out, in / groups, kernel height, kernel width]
    std::optional<Parameter<T, 1>> bias;

    /// Zeros; `reset` draws initial values. Throws ValueError when the channels do not divide into the groups.
    Conv2d(Index in, Index out, const Conv2dConfig& c)
        : options{c.stride, c.padding, c.dilation, c.groups, c.padding_mode, c.algorithm},
          weight(weight_shape(in, out, c)) {
        if (c.bias) bias.emplace(Shape{out});
    }
    /// Weight and bias uniform in ±1/sqrt(in / groups * kernel area).
    void reset(random::Rng& rng) { init::fan_in_uniform(weight, bias, rng); }

    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        if (autograd::current_tape()) return observed(*this, conv2d(x, weight, bias, options));
        return observed(*this, fused(x));
    }

    /// A normalisation, a residual sum, an activation, factors of channels, a place for the result: any of them, in
    /// this order.
    template <class... Next>
    static constexpr std::size_t absorbs() {
        return absorbs_after<0, Next...>();
    }
    template <class... Next>
    Tensor<T, 4> fused(const Tensor<T, 4>& x, const Next&... next) const {
        auto rest = options;
        const auto input = contiguous(
            options.padding_mode == PadMode::constant ? x : lamina::detail::conv2d_margins(x, weight.shape(), rest));
        const auto g = conv2d_geometry(input.shape(), weight.shape(), rest);
        auto y = result_for<T>(Shape{g.batch, g.out_channels, g.out_h, g.out_w}, next...);
        const auto w = ready_for(g, next...);
        kernels::conv2d_forward(g, input.data(), w->value.packed, y.mutable_data(),
                                epilogue(g, kernels::BiasRows{w->value.bias.data()}, next...));
        return y;
    }
    /// What `fused` would do with images of shape `x`, to be done with some rows at a time; see chain_in_bands.
    template <class... Next>
    auto stage(const Shape<4>& x, const Next&... next) const {
        const auto g = conv2d_geometry(x, weight.shape(), options);
        const auto w = ready_for(g, next...);
        return ConvStage{g, w, epilogue(g, kernels::BiasRows{w->value.bias.data()}, next...)};
    }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
    }

private:
    /// Weights as a kernel wants them, those of a normalisation folded in: w s and (b - mean) s + shift, s = scale /
    /// deviation.
    struct Ready {
        Tensor<T, 4> weight;
        Tensor<T, 1> bias;
        kernels::Conv2dWeights<T> packed;
    };
    Ready ready(const kernels::Conv2dGeometry& g) const {
        const auto w = contiguous(Tensor<T, 4>(weight));
        return {w, bias ? contiguous(Tensor<T, 1>(*bias)) : Tensor<T, 1>(),
                kernels::conv2d_prepare(g, options.algorithm, w.data())};
    }
    template <class Norm>
    Ready ready(const kernels::Conv2dGeometry& g, const Norm& norm) const {
        auto [w, b] = detail::fold_norm<T>(weight, bias_or_none(), norm);
        Ready f{w, b, kernels::conv2d_prepare(g, options.algorithm, w.data())};
        // The other kernels have their own copy.
        if (f.packed.choice.kernel != kernels::Conv2dChoice::Kernel::depthwise) f.weight = Tensor<T, 4>();
        return f;
    }

    template <class Norm, class... Next>
        requires is_batch_norm<Norm>
    auto ready_for(const kernels::Conv2dGeometry& g, const Norm& norm, const Next&...) const {
        return ready_.get_kind(
            wanted(g), [&] { return ready(g, norm); }, weight, bias_or_none(), norm.scale(), norm.shift(),
            norm.running_mean, norm.running_var);
    }
    template <class... Next>
    auto ready_for(const kernels::Conv2dGeometry& g, const Next&...) const {
        return ready_.get_kind(
            wanted(g), [&] { return ready(g); }, weight, bias_or_none());
    }
    /// Of the weights that these sizes want.
    Index wanted(const kernels::Conv2dGeometry& g) const {
        const auto choice = kernels::conv2d_choice<T>(g, options.algorithm);
        return Index(choice.kernel) * 256 + choice.layout;
    }
    Tensor<T, 1> bias_or_none() const { return bias ? Tensor<T, 1>(*bias) : Tensor<T, 1>(); }

    /// How many of `Next` fit in this order, the first `position` kinds being used up.
    template <int position, class Next, class... More>
    static constexpr std::size_t absorbs_after() {
        constexpr int at = is_batch_norm<Next>                ? 1
                           : std::is_same_v<Next, Plus<T, 4>> ? 2
                           : is_activation<Next>              ? 3
                           : std::is_same_v<Next, Times<T>>   ? 4
                           : std::is_same_v<Next, Into<T, 4>> ? 5
                                                              : 0;
        if constexpr (at <= position) return 0;
        else return 1 + absorbs_after<at, More...>();
    }
    template <int position>
    static constexpr std::size_t absorbs_after() {
        return 0;
    }

    static auto epilogue(const kernels::Conv2dGeometry&, const auto& before) { return before; }
    template <class Next, class... More>
    static auto epilogue(const kernels::Conv2dGeometry& g, const auto& before, const Next& next, const More&... more) {
        const Shape result{g.batch, g.out_channels, g.out_h, g.out_w};
        if constexpr (is_batch_norm<Next> || std::is_same_v<Next, Into<T, 4>>) {
            return epilogue(g, before, more...);  // folded into the weights, or no matter of values
        } else if constexpr (is_activation<Next>) {
            return epilogue(g, kernels::Then{before, kernels::Apply{next.function}}, more...);
        } else if constexpr (std::is_same_v<Next, Times<T>>) {
            next.check(result);
            return epilogue(g, kernels::Then{before, kernels::ScaleImages<T>{next.factors.data(), g.out_channels}},
                            more...);
        } else {
            require(next.addend.shape() == result, "Plus: both must have the same shape (input ", result, ", addend ",
                    next.addend.shape(), ")");
            const kernels::AddImages<T> sum{next.addend.data(), g.out_channels, g.plane()};
            return epilogue(g, kernels::Then{before, sum}, more...);
        }
    }
    static Shape<4> weight_shape(Index in, Index out, const Conv2dConfig& c) {
        require<ValueError>(c.groups > 0 && in % c.groups == 0 && out % c.groups == 0,
                            "Conv2d: channels must divide into groups but are ", in, " and ", out, " in ", c.groups);
        return {out, in / c.groups, c.kernel.h, c.kernel.w};
    }
    Prepared<Ready> ready_;
};

}  // namespace lamina::inline LAMINA_ABI::nn
