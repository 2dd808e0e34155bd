#include <lamina/nn/batch_norm.hpp>
#include <lamina/nn/chain.hpp>
#include <lamina/nn/group_norm.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/rms_norm.hpp>
#include <lamina/nn/spectral_norm.hpp>
#include <lamina/nn/weight_norm.hpp>
#include <lamina/ops/activation.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Mean of x² - mean² over a range of `x`, and the mean.
std::pair<double, double> moments(const float* x, Index count) {
    double sum = 0, squares = 0;
    for (Index i = 0; i < count; ++i) sum += x[i], squares += double(x[i]) * x[i];
    return {sum / double(count), squares / double(count) - sum * sum / double(count * count)};
}

}  // namespace

// The activation runs where the result is written.
static_assert(nn::detail::absorbed_count<nn::GroupNorm<>, nn::SiLU>() == 1);

TEST_CASE("BatchNorm1d: features of [N, C] and channels of [N, C, L] get mean 0 and variance 1") {
    nn::BatchNorm1d norm(3);
    autograd::Tape tape;
    const auto features = norm(test::wave<float>(Shape{40, 3}));
    const auto channels = norm(test::wave<float>(Shape{4, 3, 10}));
    for (Index c = 0; c < 3; ++c) {
        float column[40], rows[40];
        for (Index i = 0; i < 40; ++i) column[i] = features(i, c), rows[i] = channels(i / 10, c, i % 10);
        for (const auto* x : {column, rows}) {
            const auto [mean, variance] = moments(x, 40);
            CHECK(mean == doctest::Approx(0).epsilon(1e-5));
            CHECK(variance == doctest::Approx(1).epsilon(1e-3));
        }
    }
    CHECK(norm.num_batches_tracked.item() == 2);
}

TEST_CASE("GroupNorm, InstanceNorm, RMSNorm: each example by itself, then scale and shift") {
    const auto x = test::wave<float>(Shape{2, 4, 5, 3});
    nn::GroupNorm group(2, 4);
    const auto y = group(x);
    for (Index i = 0; i < 4; ++i) {
        const auto [mean, variance] = moments(y.data() + i * 30, 30);
        CHECK(std::abs(mean) < 1e-6);
        CHECK(variance == doctest::Approx(1).epsilon(1e-3));
    }
    group.weight->fill(2);
    group.bias->fill(3);
    CHECK(test::max_error(group(x), y * 2 + 3) < 1e-5);
    nn::InstanceNorm instance(4);
    CHECK(test::max_error(instance(x), nn::GroupNorm(4, 4, {.affine = false})(x)) < 1e-6);
    CHECK(nn::parameters(instance).empty());
    nn::RMSNorm rms(3);
    const auto z = rms(x);
    for (Index i = 0; i < 40; ++i) {
        const auto [mean, variance] = moments(z.data() + 3 * i, 3);
        CHECK(variance + mean * mean == doctest::Approx(1).epsilon(1e-3));
    }
}

TEST_CASE("GroupNorm: groups must divide the channels") {
    for (const Index groups : {2, 0, -1})
        CHECK(test::message_of<ValueError>([&] { nn::GroupNorm<float>(groups, 3); }) ==
              "GroupNorm: the number of groups must divide the channels (" + std::to_string(groups) + " and 3)");
}

TEST_CASE("GroupNorm: an activation behind it runs in one call with the same numbers") {
    nn::GroupNorm group(3, 6);
    group.weight->mutable_at(2) = -2;
    group.bias->mutable_at(4) = 0.5F;
    for (const Shape<4>& shape : {Shape{2, 6, 5, 3}, Shape{1, 6, 1, 1}, Shape{0, 6, 2, 2}}) {
        const auto x = test::wave<float>(shape);
        CHECK(test::max_error(nn::chain(x, group, nn::SiLU{}), silu(group(x))) < 1e-6);
    }
}

TEST_CASE("BatchNorm: without momentum the running statistics are means over all batches") {
    nn::BatchNorm1d<double> norm(2, {.momentum = std::nullopt});
    double mean = 0, var = 0;
    for (int step = 1; step <= 3; ++step) {
        const auto x = test::wave<double>(Shape{5, 2}, 0.7 * step);
        double sum = 0, squares = 0;
        for (Index i = 0; i < 5; ++i) sum += x(i, 1) / 5;
        for (Index i = 0; i < 5; ++i) squares += (x(i, 1) - sum) * (x(i, 1) - sum) / 4;
        mean += sum;
        var += squares;
        autograd::Tape tape;
        norm(x);
        CHECK(norm.running_mean(1) == doctest::Approx(mean / step).epsilon(1e-12));
        CHECK(norm.running_var(1) == doctest::Approx(var / step).epsilon(1e-12));
    }
    CHECK(norm.num_batches_tracked.item() == 3);
    CHECK(norm(zeros<double>(Shape{1, 2})).shape() == Shape{1, 2});  // evaluation takes any number of examples
}

TEST_CASE("FrozenBatchNorm2d: golden values, and nothing of it learns") {
    for (const auto& c : test::golden_cases("vision/frozen_batch_norm")) {
        CAPTURE(c.name());
        const auto x = autograd::leaf(c.tensor<float, 4>("in.x"));
        nn::FrozenBatchNorm2d norm(x.dim(1), c.number("eps", 1e-5));
        nn::for_each_tensor(
            norm, [&](const std::string& name, auto& tensor) { AnyTensor(tensor).assign(c.any("buffer." + name)); });
        autograd::Tape tape;
        const auto y = norm(x);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 4>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        CHECK(nn::parameters(norm).empty());
    }
}

TEST_CASE("weight_norm: golden values and gradients; the layer begins as the one it wraps") {
    for (const auto& c : test::golden_cases("ops/weight_norm")) {
        CAPTURE(c.name());
        const auto run = [&]<int R>(std::integral_constant<int, R>) {
            const auto v = autograd::leaf(c.tensor<float, R>("in.v")), g = autograd::leaf(c.tensor<float, R>("in.g"));
            autograd::Tape tape;
            const auto y = weight_norm(v, g);
            test::check_golden(c, "y", y);
            tape.backward(y, c.tensor<float, R>("r.y"));
            test::check_golden_grad(c, "in.v", autograd::grad(v));
            test::check_golden_grad(c, "in.g", autograd::grad(g));
        };
        if (c.rank("in.v") == 2) run(std::integral_constant<int, 2>{});
        else run(std::integral_constant<int, 4>{});
    }
    random::Rng rng(1);
    nn::Linear plain(5, 3);
    plain.reset(rng);
    nn::WeightNorm layer{plain};
    const auto x = test::wave<float>(Shape{4, 5});
    CHECK(test::max_error(layer(x), plain(x)) < 1e-6);
    layer.weight_g.mutable_at(0, 0) *= 2;
    CHECK(test::max_error(layer.baked()(x), layer(x)) < 1e-6);
    CHECK(layer.baked().weight(0, 1) == doctest::Approx(2 * plain.weight(0, 1)).epsilon(1e-5));
    std::vector<std::string> names;
    for (const auto& [name, tensor] : nn::state_dict(layer)) names.push_back(name);
    CHECK(names == std::vector<std::string>{"bias", "weight_g", "weight_v"});
    autograd::Tape tape;
    const auto y = layer(x);
    tape.backward(y, ones<float>(y.shape()));
    CHECK(autograd::has_grad(layer.weight_g));
    CHECK(autograd::has_grad(*layer.layer.bias));
    CHECK(test::message_of<ShapeError>([] {
              weight_norm(ones<float>(Shape{2, 3}), ones<float>(Shape{3, 1}));
          }) == "weight_norm: g must have an element for each of 2 rows but has 3 (v [2, 3], g [3, 1])");
}

TEST_CASE("SpectralNorm: power iterations find the largest singular value") {
    random::Rng rng(2);
    nn::Linear plain(2, 2, {.bias = false});
    // Singular values 5 and 2 by construction: a rotation times a diagonal.
    const float c = 0.6F, s = 0.8F;
    const float w[] = {5 * c, -2 * s, 5 * s, 2 * c};
    std::copy_n(w, 4, plain.weight.mutable_data());
    nn::SpectralNorm layer(plain, rng, {.power_iterations = 30});
    const auto x = test::wave<float>(Shape{3, 2});
    {
        autograd::Tape tape;
        const auto y = layer(x);
        CHECK(test::max_error(y, plain(x) / 5.0F) < 1e-5);
        tape.backward(y, test::wave<float>(y.shape(), 1));
        CHECK(autograd::has_grad(layer.weight_orig));
    }
    CHECK(test::max_error(layer(x), plain(x) / 5.0F) < 1e-5);
    const auto before = layer.weight_u.clone();
    layer(x);
    CHECK(test::bitwise_equal(before, layer.weight_u));
    CHECK(nn::parameters(layer).size() == 1);
}
