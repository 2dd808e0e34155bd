#pragma once
// What a CenterNet puts on its last feature map: a heat map of centres for each class, sizes and offsets (X. Zhou,
// D. Wang, P. Krähenbühl, Objects as Points, 2019), with the official names hm, wh and reg.
#include <lamina/nn/chain.hpp>
#include <lamina/nn/conv.hpp>
#include <lamina/nn/sequential.hpp>

namespace lamina::inline LAMINA_ABI::models {

/// Maps of a CenterNet, at 1/4 of the image.
struct CenterNetOutput {
    Tensor<float, 4> heat;    ///< [N, classes, H, W], logits
    Tensor<float, 4> size;    ///< [N, 2, H, W]: width and height in cells
    Tensor<float, 4> offset;  ///< [N, 2, H, W]: x and y of the centre in its cell
};

/// Options of CenterNetHeads.
struct CenterNetHeadsConfig {
    Index classes = 80;
    Index hidden = 64;           ///< channels between the two convolutions of a head
    double deviation = 0.001;    ///< of the first weights of sizes and offsets; 0: the layers' own distribution
    double prior_logit = -2.19;  ///< first bias of the heat map: log(p / (1 - p)), p = 0.1 being how rare centres are
};

/// The three heads, each convolution 3x3, ReLU, convolution 1x1.
struct CenterNetHeads {
    static constexpr std::string_view kind = "CenterNetHeads";

    /// A convolution that begins with its own deviation and bias where these are given.
    struct Begun : nn::Conv2d<> {
        double deviation;
        std::optional<double> first_bias;
        Begun(Index in, Index out, const nn::Conv2dConfig& c, double weight_deviation, std::optional<double> constant)
            : nn::Conv2d<>(in, out, c),
              deviation(weight_deviation),
              first_bias(constant) {}
        void reset(random::Rng& rng) {
            nn::Conv2d<>::reset(rng);
            if (deviation > 0) normal_(weight, rng, 0, deviation);
            if (first_bias) bias->fill(float(*first_bias));
        }
    };
    using Head = nn::Sequential<Begun, nn::ReLU, Begun>;
    Head hm, wh, reg;

    /// For feature maps of `in` channels. Zeros; nn::reset_parameters draws the published first values.
    explicit CenterNetHeads(Index in, const CenterNetHeadsConfig& c = {})
        : hm(head(in, c.classes, c.hidden, 0, {}, c.prior_logit)),
          wh(head(in, 2, c.hidden, c.deviation, 0, 0)),
          reg(head(in, 2, c.hidden, c.deviation, 0, 0)) {}

    CenterNetOutput operator()(const Tensor<float, 4>& x) const { return {hm(x), wh(x), reg(x)}; }

    static void members(auto& self, auto&& visit) {
        visit("hm", self.hm);
        visit("wh", self.wh);
        visit("reg", self.reg);
    }

private:
    static Head head(Index in, Index out, Index hidden, double deviation, std::optional<double> hidden_bias,
                     double bias) {
        return Head{Begun(in, hidden, {.kernel = 3, .padding = 1}, deviation, hidden_bias), nn::ReLU{},
                    Begun(hidden, out, {.kernel = 1}, deviation, bias)};
    }
};

}  // namespace lamina::inline LAMINA_ABI::models
