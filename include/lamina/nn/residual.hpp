#pragma once
// Residual connections: where the normalisation stands, and what weighs the branch. R. Xiong et al., On Layer
// Normalization in the Transformer Architecture, ICML 2020.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// x + branch(norm(x)): the identity path stays clean; wants one more normalisation after the last block.
template <class Norm, class Branch>
struct PreNorm {
    static constexpr std::string_view kind = "PreNorm";
    Norm norm;
    Branch branch;

    PreNorm(Norm normalisation, Branch inner) : norm(std::move(normalisation)), branch(std::move(inner)) {}
    template <class X>
    X operator()(const X& x) const {
        return observed(*this, x + branch(norm(x)));
    }
    static void members(auto& self, auto&& visit) {
        visit("norm", self.norm);
        visit("branch", self.branch);
    }
};

/// norm(alpha x + branch(x)); alpha is 1, or DeepNorm's (init::deep_norm), which keeps deep networks trainable.
template <class Norm, class Branch>
struct PostNorm {
    static constexpr std::string_view kind = "PostNorm";
    Norm norm;
    Branch branch;
    double alpha;

    PostNorm(Norm normalisation, Branch inner, double weight = 1)
        : norm(std::move(normalisation)),
          branch(std::move(inner)),
          alpha(weight) {}
    template <class T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, norm(x * T(alpha) + branch(x)));
    }
    static void members(auto& self, auto&& visit) {
        visit("norm", self.norm);
        visit("branch", self.branch);
    }
};

/// x + weight branch(x) with a learned number, 0 at first: the block begins as the identity, without normalisation.
/// T. Bachlechner et al., ReZero is All You Need, UAI 2021; at the end of a branch of convolutions: S. De, S. Smith,
/// SkipInit, NeurIPS 2020.
template <class Branch, Real T = float>
struct ReZero {
    static constexpr std::string_view kind = "ReZero";
    Branch branch;
    Parameter<T, 1> weight;  ///< [1]

    explicit ReZero(Branch inner, double initial = 0)
        : branch(std::move(inner)),
          weight(Shape{Index(1)}),
          initial_(initial) {
        weight.fill(T(initial));
    }
    void reset(random::Rng&) { weight.fill(T(initial_)); }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, x + weight * branch(x));
    }
    static void members(auto& self, auto&& visit) {
        visit("branch", self.branch);
        visit("weight", self.weight);
    }

private:
    double initial_;
};

/// x [..., width] times a learned number for each feature, small at first (init::layer_scale): what stands at the end
/// of a residual branch of a deep Transformer. H. Touvron et al., Going deeper with Image Transformers, ICCV 2021.
template <Real T = float>
struct LayerScale {
    static constexpr std::string_view kind = "LayerScale";
    Parameter<T, 1> gamma;  ///< [width]

    explicit LayerScale(Index width, double initial = 0.1) : gamma(Shape{width}), initial_(initial) {
        gamma.fill(T(initial));
    }
    void reset(random::Rng&) { gamma.fill(T(initial_)); }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        require(x.dim(-1) == gamma.dim(0), "LayerScale: the input must end in ", gamma.dim(0), " features but is ",
                x.shape());
        return observed(*this, x * gamma);
    }
    static void members(auto& self, auto&& visit) { visit("gamma", self.gamma); }

private:
    double initial_;
};

/// x plus a learned number, 0 at first: what Fixup puts before layers and activations.
template <Real T = float>
struct ScalarBias {
    static constexpr std::string_view kind = "ScalarBias";
    Parameter<T, 1> bias{Shape{Index(1)}};  ///< [1]

    void reset(random::Rng&) { bias.fill(T(0)); }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, x + bias);
    }
    static void members(auto& self, auto&& visit) { visit("bias", self.bias); }
};

/// x times a learned number, 1 at first: what Fixup puts at the end of a branch.
template <Real T = float>
struct ScalarScale {
    static constexpr std::string_view kind = "ScalarScale";
    Parameter<T, 1> weight;  ///< [1]

    explicit ScalarScale(double initial = 1) : weight(Shape{Index(1)}), initial_(initial) { weight.fill(T(initial)); }
    void reset(random::Rng&) { weight.fill(T(initial_)); }
    template <int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, x * weight);
    }
    static void members(auto& self, auto&& visit) { visit("weight", self.weight); }

private:
    double initial_;
};

}  // namespace lamina::inline LAMINA_ABI::nn
