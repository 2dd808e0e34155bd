#pragma once
// Positions of pixels, as DETR adds them to the features of an image: half of the channels for the row, half for the
// column.
#include <lamina/nn/init.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/expand.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/slice.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of image_positions.
struct ImagePositionsConfig {
    bool normalize = false;               ///< positions run to `scale` over the image
    double scale = 6.283185307179586477;  ///< 2 pi
    double temperature = 10000;
};

/// [N, 2 * features, H, W] for images padded where `padding` [N, H, W] is true: positions count the pixels of the
/// image, from 1; channels are those of the row, then of the column, sines and cosines interleaved. Throws ValueError
/// for an odd number of features (facebookresearch/detr, PositionEmbeddingSine).
template <Real T = float>
Tensor<T, 4> image_positions(const Tensor<bool, 3>& padding, Index features, const ImagePositionsConfig& config = {}) {
    require<ValueError>(features % 2 == 0, "image_positions: the number of features must be even but is ", features);
    const Index n = padding.dim(0), h = padding.dim(1), w = padding.dim(2);
    auto y = empty<T>(Shape{n, 2 * features, h, w});
    auto position = empty<double>(Shape{h, w});
    const auto mask = padding.clone();
    for (Index image = 0; image < n; ++image)
        for (int axis = 0; axis < 2; ++axis) {  // 0: rows, 1: columns
            const Index lines = axis == 0 ? w : h, steps = axis == 0 ? h : w;
            for (Index line = 0; line < lines; ++line) {
                const auto at = [&](Index i) { return axis == 0 ? i * w + line : line * w + i; };
                double* p = position.mutable_data();
                double count = 0;
                for (Index i = 0; i < steps; ++i) {
                    count += mask.data()[image * h * w + at(i)] ? 0 : 1;
                    p[at(i)] = count;
                }
                for (Index i = 0; config.normalize && i < steps; ++i) p[at(i)] *= config.scale / (count + 1e-6);
            }
            for (Index f = 0; f < features; ++f) {
                const double frequency = std::pow(config.temperature, -double(f / 2 * 2) / double(features));
                T* to = y.mutable_data() + ((image * 2 + axis) * features + f) * h * w;
                for (Index i = 0; i < h * w; ++i) {
                    const double angle = position.data()[i] * frequency;
                    to[i] = T(f % 2 ? std::cos(angle) : std::sin(angle));
                }
            }
        }
    return y;
}

/// The same learned: tables of 50 rows and columns; names are PositionEmbeddingLearned's.
template <Real T = float>
struct LearnedImagePositions {
    static constexpr std::string_view kind = "LearnedImagePositions";
    Parameter<T, 2> row_embed, col_embed;  ///< [50, features]

    explicit LearnedImagePositions(Index features)
        : row_embed(Shape{Index(50), features}),
          col_embed(Shape{Index(50), features}) {}
    /// Uniform in [0, 1).
    void reset(random::Rng& rng) {
        uniform_(row_embed, rng, 0, 1);
        uniform_(col_embed, rng, 0, 1);
    }
    /// [n, 2 * features, h, w]: channels of the column, then of the row. Throws ValueError for more than 50.
    Tensor<T, 4> operator()(Index n, Index h, Index w) const {
        require<ValueError>(h <= row_embed.dim(0) && w <= col_embed.dim(0),
                            "LearnedImagePositions: height and width must be at most ", row_embed.dim(0), " but are ",
                            h, " and ", w);
        const Index features = row_embed.dim(1);
        const auto x = expand(unsqueeze(slice(col_embed, 0, 0, w), 0), Shape{h, w, features}),
                   y = expand(unsqueeze(slice(row_embed, 0, 0, h), 1), Shape{h, w, features});
        const auto both = permute(cat<T, 3>({x, y}, 2), {2, 0, 1});
        return observed(*this, contiguous(expand(unsqueeze(both, 0), Shape{n, 2 * features, h, w})));
    }
    static void members(auto& self, auto&& visit) {
        visit("row_embed.weight", self.row_embed);
        visit("col_embed.weight", self.col_embed);
    }
};

}  // namespace lamina::inline LAMINA_ABI::nn
