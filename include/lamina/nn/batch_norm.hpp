#pragma once
// Batch normalisation of feature maps: the batch's statistics while a tape trains, running statistics otherwise.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/batch_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of BatchNorm2d.
struct BatchNormConfig {
    double eps = 1e-5;
    double momentum = 0.1;  ///< weight of the newest batch in the running statistics
    bool affine = true;     ///< learn a scale and a shift per channel
};

/// Normalises each channel of [N, C, H, W]; names are torch.nn.BatchNorm2d's. A frozen layer (nn::freeze) keeps its
/// running statistics in training too.
template <Real T = float>
struct BatchNorm2d {
    static constexpr std::string_view kind = "BatchNorm2d";
    BatchNormConfig options;
    std::optional<Parameter<T, 1>> weight, bias;  ///< [C]
    Buffer<T, 1> running_mean, running_var;       ///< [C]
    Buffer<std::int64_t, 0> num_batches_tracked{Shape<0>{}};

    explicit BatchNorm2d(Index channels, const BatchNormConfig& config = {})
        : options(config),
          running_mean(Shape{channels}),
          running_var(ones<T>(Shape{channels})) {
        if (!config.affine) return;
        weight.emplace(ones<T>(Shape{channels}));
        bias.emplace(Shape{channels});
    }
    void reset(random::Rng&) {
        running_mean.fill(T(0));
        running_var.fill(T(1));
        num_batches_tracked.fill(0);
        if (weight) weight->fill(T(1));
        if (bias) bias->fill(T(0));
    }

    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        const bool frozen = weight && !weight->grad_link();
        const bool training = autograd::training() && !frozen;
        Tensor<T, 1> mean = running_mean, var = running_var;
        if (training) {
            auto batches = num_batches_tracked;
            ++*batches.mutable_data();
        }
        return observed(*this, batch_norm(x, mean, var, scale(), shift(),
                                          {.training = training, .momentum = options.momentum, .eps = options.eps}));
    }

    /// The learned scale or shift, undefined without one.
    Tensor<T, 1> scale() const { return weight ? Tensor<T, 1>(*weight) : Tensor<T, 1>(); }
    Tensor<T, 1> shift() const { return bias ? Tensor<T, 1>(*bias) : Tensor<T, 1>(); }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
        visit("running_mean", self.running_mean);
        visit("running_var", self.running_var);
        visit("num_batches_tracked", self.num_batches_tracked);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
