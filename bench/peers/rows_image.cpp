// What stands beside convolutions in image networks: enlargement, normalisation, pooling.
#include <lamina/nn/chain.hpp>
#include <lamina/nn/group_norm.hpp>
#include <lamina/ops/batch_norm.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/pixel_shuffle.hpp>
#include <lamina/ops/pool.hpp>

#include "ours.hpp"
#include "peers.hpp"

namespace peers {
namespace {

using lamina::Shape;

Contestant ours_for(const PixelShuffle& p) {
    const auto x = tensor(p.x, Shape{Index(1), p.channels, p.size, p.size});
    return ours("pixel_shuffle", [=] { return pixel_shuffle(x, p.factor); });
}

Contestant ours_for(const Upsample& p) {
    const auto x = tensor(p.x, Shape{Index(1), p.channels, p.size, p.size});
    using lamina::InterpolateMode;
    const auto mode = p.mode == Upsample::Mode::nearest    ? InterpolateMode::nearest
                      : p.mode == Upsample::Mode::bilinear ? InterpolateMode::linear
                                                           : InterpolateMode::cubic;
    return ours("interpolate", [=] { return interpolate(x, {.scale_factor = 2, .mode = mode}); });
}

Contestant ours_for(const GroupNormSilu& p) {
    return {us, "chain(GroupNorm, SiLU)", [p] {
                const auto norm = std::make_shared<lamina::nn::GroupNorm<>>(p.groups, p.channels);
                std::copy_n(p.scale.data(), p.channels, norm->weight->mutable_data());
                std::copy_n(p.shift.data(), p.channels, norm->bias->mutable_data());
                const auto x = tensor(p.x, Shape{Index(1), p.channels, p.size, p.size});
                return fresh([=] { return lamina::nn::chain(x, *norm, lamina::nn::SiLU{}); });
            }};
}

Contestant ours_for(const BatchNormTraining& p) {
    const auto x = tensor(p.x, Shape{p.batch, p.channels, p.size, p.size});
    const auto scale = tensor(p.scale, Shape{p.channels}), shift = tensor(p.shift, Shape{p.channels});
    const auto mean = lamina::zeros<float>(Shape{p.channels}), var = lamina::ones<float>(Shape{p.channels});
    return ours("batch_norm", [=] {
        auto m = mean, v = var;
        return batch_norm(x, m, v, scale, shift, {.training = true});
    });
}

Contestant ours_for(const MaxPool& p) {
    const auto x = tensor(p.x, Shape{Index(1), p.channels, p.size, p.size});
    return ours("max_pool2d", [=] { return max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1}); });
}

template <class Problem>
Row row(std::string name, Limit limit, Index outputs, Problem (*make)()) {
    return {.name = std::move(name), .limit = limit, .outputs = outputs, .tolerance = 1e-4, .contestants = [=] {
                const Problem p = make();
                return race(p, {ours_for(p)});
            }};
}

/// So many floats read or written in all, taken as a copy of half as many.
Limit moving(Index floats) { return streaming(floats / 2, 1, 1); }

template <Upsample::Mode mode>
Row upsample(const char* name) {
    constexpr auto s = bench::upsampled;
    return row<Upsample>(name, moving(5 * s.count()), 4 * s.count(), [] {
        return Upsample{.mode = mode, .channels = bench::upsampled.channels, .size = bench::upsampled.size};
    });
}

}  // namespace

void add_image_rows(Rows& rows) {
    rows.push_back(row<PixelShuffle>("pixel_shuffle 2, 256x64x64", streaming(bench::upsampled.count(), 1, 1),
                                     bench::upsampled.count(),
                                     [] { return PixelShuffle{.channels = 256, .size = 64, .factor = 2}; }));
    rows.push_back(upsample<Upsample::Mode::nearest>("nearest 2x, 256x64x64"));
    rows.push_back(upsample<Upsample::Mode::bilinear>("bilinear 2x, 256x64x64"));
    rows.push_back(upsample<Upsample::Mode::bicubic>("bicubic 2x, 256x64x64"));
    rows.push_back(row<GroupNormSilu>("group_norm 32 + silu, 320x64x64", streaming(320 * 64 * 64, 1, 1), 320 * 64 * 64,
                                      [] { return GroupNormSilu{.channels = 320, .size = 64, .groups = 32}; }));
    rows.push_back(row<BatchNormTraining>("batch_norm training, 32x64x28x28", streaming(32 * 64 * 28 * 28, 1, 1),
                                          32 * 64 * 28 * 28,
                                          [] { return BatchNormTraining{.batch = 32, .channels = 64, .size = 28}; }));
    rows.push_back(row<MaxPool>("max_pool 3x3 s2, 64x112x112", moving(5 * 64 * 56 * 56), 64 * 56 * 56,
                                [] { return MaxPool{.channels = 64, .size = 112}; }));
}

}  // namespace peers
