#pragma once
// Batch normalisation: the batch's statistics while a tape trains, running statistics otherwise.
#include <lamina/nn/affine.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/batch_norm.hpp>

#include <optional>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of BatchNorm1d and BatchNorm2d.
struct BatchNormConfig {
    double eps = 1e-5;
    std::optional<double> momentum = 0.1;  ///< weight of the newest batch in the running statistics; none: equal ones
    bool affine = true;                    ///< learn a scale and a shift per channel
};

/// What batch normalisations of any rank share; names are torch.nn.BatchNorm2d's. A frozen layer (nn::freeze) keeps its
/// running statistics in training too.
template <Real T>
struct BatchNorm : Affine<T> {
    using Affine<T>::weight;
    using Affine<T>::bias;
    BatchNormConfig options;
    Buffer<T, 1> running_mean, running_var;  ///< [C]
    Buffer<std::int64_t, 0> num_batches_tracked{Shape<0>{}};

    explicit BatchNorm(Index channels, const BatchNormConfig& config)
        : Affine<T>(channels, config.affine),
          options(config),
          running_mean(Shape{channels}),
          running_var(ones<T>(Shape{channels})) {}
    void reset(random::Rng& rng) {
        Affine<T>::reset(rng);
        running_mean.fill(T(0));
        running_var.fill(T(1));
        num_batches_tracked.fill(0);
    }

    /// The learned scale or shift, undefined without one.
    Tensor<T, 1> scale() const { return weight ? Tensor<T, 1>(*weight) : Tensor<T, 1>(); }
    Tensor<T, 1> shift() const { return bias ? Tensor<T, 1>(*bias) : Tensor<T, 1>(); }
    double eps() const { return options.eps; }

    static void members(auto& self, auto&& visit) {
        Affine<T>::members(self, visit);
        visit("running_mean", self.running_mean);
        visit("running_var", self.running_var);
        visit("num_batches_tracked", self.num_batches_tracked);
    }

protected:
    template <int R>
    Tensor<T, R> normalized(const Tensor<T, R>& x) const {
        const bool frozen = weight && !weight->grad_link();
        const bool training = autograd::training() && !frozen;
        Tensor<T, 1> mean = running_mean, var = running_var;
        if (training) {
            auto batches = num_batches_tracked;
            ++*batches.mutable_data();
        }
        const double momentum = options.momentum ? *options.momentum : 1 / double(num_batches_tracked.item());
        return batch_norm(x, mean, var, scale(), shift(),
                          {.training = training, .momentum = momentum, .eps = options.eps});
    }
};

/// Normalises each feature of [N, C] or each channel of [N, C, L].
template <Real T = float>
struct BatchNorm1d : BatchNorm<T> {
    static constexpr std::string_view kind = "BatchNorm1d";
    explicit BatchNorm1d(Index channels, const BatchNormConfig& config = {}) : BatchNorm<T>(channels, config) {}
    template <int R>
        requires(R == 2 || R == 3)
    Tensor<T, R>
    operator()(const Tensor<T, R>& x) const { return observed(*this, this->normalized(x)); }
};

/// Normalises each channel of [N, C, H, W]. A convolution before it takes it along while nothing records.
template <Real T = float>
struct BatchNorm2d : BatchNorm<T> {
    static constexpr std::string_view kind = "BatchNorm2d";
    explicit BatchNorm2d(Index channels, const BatchNormConfig& config = {}) : BatchNorm<T>(channels, config) {}
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const { return observed(*this, this->normalized(x)); }
};

/// A batch normalisation that never learns: its numbers are buffers, as in detectors with few images a batch
/// (torchvision.ops.FrozenBatchNorm2d).
template <Real T = float>
struct FrozenBatchNorm2d {
    static constexpr std::string_view kind = "FrozenBatchNorm2d";
    Buffer<T, 1> weight, bias, running_mean, running_var;  ///< [C]
    double epsilon;

    explicit FrozenBatchNorm2d(Index channels, double eps = 1e-5)
        : weight(ones<T>(Shape{channels})),
          bias(Shape{channels}),
          running_mean(Shape{channels}),
          running_var(ones<T>(Shape{channels})),
          epsilon(eps) {}

    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, batch_norm(x, running_mean, running_var, weight, bias, {.eps = epsilon}));
    }
    const Tensor<T, 1>& scale() const { return weight; }
    const Tensor<T, 1>& shift() const { return bias; }
    double eps() const { return epsilon; }

    static void members(auto& self, auto&& visit) {
        visit("weight", self.weight);
        visit("bias", self.bias);
        visit("running_mean", self.running_mean);
        visit("running_var", self.running_var);
    }
};

/// The normalisations of images that a convolution can fold into its weights.
template <class L>
inline constexpr bool is_batch_norm = false;
template <class T>
inline constexpr bool is_batch_norm<BatchNorm2d<T>> = true;
template <class T>
inline constexpr bool is_batch_norm<FrozenBatchNorm2d<T>> = true;

}  // namespace lamina::inline LAMINA_ABI::nn
