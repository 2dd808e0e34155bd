#include <lamina/nn/activation.hpp>
#include <lamina/nn/embedding.hpp>
#include <lamina/nn/init_depth.hpp>
#include <lamina/nn/init_rule.hpp>
#include <lamina/nn/layer_norm.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/sequential.hpp>
#include <tests/support/golden.hpp>
#include <tests/support/recipe.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using doctest::Approx;

namespace {

/// Mean and variance of drawn numbers must lie within four standard errors of what they should be.
template <class T, int R>
void check_moments(const Tensor<T, R>& x, double mean, double variance) {
    double sum = 0, squares = 0;
    const auto n = double(x.numel());
    for (Index i = 0; i < x.numel(); ++i) sum += double(x.data()[i]);
    for (Index i = 0; i < x.numel(); ++i) squares += std::pow(double(x.data()[i]) - mean, 2);
    CHECK(std::abs(sum / n - mean) < 4 * std::sqrt(variance / n));
    CHECK(std::abs(squares / n / variance - 1) < 4 * std::sqrt(2 / n));
}
/// E[w w^T] of rows: how far from the identity times gain².
template <class T>
double distance_from_orthonormal(const Tensor<T, 2>& x, double gain) {
    const bool wide = x.dim(0) < x.dim(1);
    const Index count = wide ? x.dim(0) : x.dim(1), width = wide ? x.dim(1) : x.dim(0);
    double error = 0;
    for (Index a = 0; a < count; ++a)
        for (Index b = 0; b < count; ++b) {
            double dot = 0;
            for (Index i = 0; i < width; ++i)
                dot += wide ? double(x(a, i)) * double(x(b, i)) : double(x(i, a)) * double(x(i, b));
            error = std::max(error, std::abs(dot - (a == b ? gain * gain : 0)));
        }
    return error;
}

}  // namespace

TEST_CASE("init: golden fans and bounds") {
    if (test::golden_root().empty()) return;
    const test::GoldenCase c("init/fans");
    for (Index k = 0; k < 4; ++k) {
        const auto shape = c.tensor<std::int64_t, 1>(message("in.shape", k));
        nn::init::Fans fans{};
        if (shape.numel() == 2) fans = nn::init::fans(Shape{shape(0), shape(1)});
        else if (shape.numel() == 3) fans = nn::init::fans(Shape{shape(0), shape(1), shape(2)});
        else fans = nn::init::fans(Shape{shape(0), shape(1), shape(2), shape(3)});
        const auto expected = test::detail::doubles_of(c.any(message("out.fans", k)));
        CHECK(double(fans.in) == expected[0]);
        CHECK(double(fans.out) == expected[1]);
        const auto bounds = test::detail::doubles_of(c.any(message("out.bounds", k)));
        const double relu = nn::init::gain::relu;
        CHECK(std::sqrt(6.0 / double(fans.in + fans.out)) == Approx(bounds[0]).epsilon(1e-6));
        CHECK(std::sqrt(2.0 / double(fans.in + fans.out)) == Approx(bounds[1]).epsilon(1e-6));
        CHECK(relu * std::sqrt(3.0 / double(fans.in)) == Approx(bounds[2]).epsilon(1e-6));
        CHECK(relu / std::sqrt(double(fans.in)) == Approx(bounds[3]).epsilon(1e-6));
        CHECK(relu * std::sqrt(3.0 / double(fans.out)) == Approx(bounds[4]).epsilon(1e-6));
        CHECK(relu / std::sqrt(double(fans.out)) == Approx(bounds[5]).epsilon(1e-6));
        CHECK(1 / std::sqrt(double(fans.in)) == Approx(bounds[6]).epsilon(1e-6));
    }
    CHECK(test::message_of<ShapeError>([] { nn::init::fans(Shape{3}); }) ==
          "init: fans need a weight of at least two dimensions but it has shape [3]");
}

TEST_CASE("init: golden gains") {
    namespace gain = nn::init::gain;
    for (const auto& c : test::golden_case("init/gains")) {
        const auto expected = [&](const char* name) { return test::detail::doubles_of(c.any(name))[0]; };
        CHECK(gain::linear == expected("gain.linear"));
        CHECK(gain::linear == expected("gain.conv2d"));
        CHECK(gain::sigmoid == expected("gain.sigmoid"));
        CHECK(gain::tanh == Approx(expected("gain.tanh")).epsilon(1e-7));
        CHECK(gain::relu == Approx(expected("gain.relu")).epsilon(1e-7));
        CHECK(gain::selu == expected("gain.selu"));
        CHECK(gain::leaky_relu(0) == Approx(expected("gain.leaky_relu_0")).epsilon(1e-7));
        CHECK(gain::leaky_relu() == Approx(expected("gain.leaky_relu_0.01")).epsilon(1e-7));
        CHECK(gain::leaky_relu(0.2) == Approx(expected("gain.leaky_relu_0.2")).epsilon(1e-7));
        CHECK(gain::leaky_relu(std::sqrt(5)) == Approx(expected("gain.leaky_relu_2.236")).epsilon(1e-7));
    }
}

TEST_CASE("init: orthogonal weights") {
    if (!test::golden_root().empty()) {
        const test::GoldenCase c("init/orthogonal_from_matrix");
        auto w = c.tensor<float, 2>("in.gaussian").clone();
        nn::init::orthogonalize_(w);
        CHECK(test::max_error(w, c.tensor<float, 2>("out.weight")) < 1e-6);
    }
    random::Rng rng(1);
    for (const auto& shape : {Shape{5, 3}, Shape{3, 5}, Shape{1, 1}, Shape{40, 40}, Shape{0, 4}, Shape{70, 300}}) {
        auto w = empty<double>(shape);
        nn::init::orthogonal(w, rng, 1.5);
        CHECK(distance_from_orthonormal(w, 1.5) < 1e-12);
    }
    auto kernel = empty<float>(Shape{4, 2, 3, 3});
    nn::init::orthogonal(kernel, rng);
    CHECK(distance_from_orthonormal(Tensor<float, 2>(kernel.storage(), kernel.mutable_data(), Shape{4, 18}, {18, 1}),
                                    1) < 1e-6);
    auto vector = empty<float>(Shape{4});
    CHECK(test::message_of<ShapeError>([&] { nn::init::orthogonal(vector, rng); }) ==
          "orthogonal: the weight must have at least two dimensions but has shape [4]");
}

TEST_CASE("init: sparse weights") {
    random::Rng rng(2);
    auto w = empty<float>(Shape{11, 300});
    nn::init::sparse(w, rng, 0.25, 0.5);
    std::vector<float> kept;
    bool same_rows = true;
    for (Index column = 0; column < 300; ++column) {
        int zeros = 0;
        for (Index row = 0; row < 11; ++row) {
            zeros += w(row, column) == 0;
            if (w(row, column) != 0) kept.push_back(w(row, column));
            same_rows = same_rows && (w(row, column) == 0) == (w(row, 0) == 0);
        }
        CHECK(zeros == 3);
    }
    CHECK(!same_rows);
    check_moments(from_span<float>(Shape{Index(kept.size())}, std::span<const float>(kept)), 0, 0.25);
    CHECK(test::message_of<ValueError>([&] { nn::init::sparse(w, rng, 1.5); }) ==
          "sparse: sparsity must lie in [0, 1] but is 1.5");
}

TEST_CASE("init: variances over a million numbers") {
    random::Rng rng(3);
    auto w = empty<float>(Shape{1000, 250, 2, 2});
    namespace init = nn::init;
    init::kaiming_normal(w, rng);
    check_moments(w, 0, 2.0 / 1000);
    init::kaiming_uniform(w, rng, {.gain = 1, .fan_out = true});
    check_moments(w, 0, 1.0 / 4000);
    init::xavier_uniform(w, rng);
    check_moments(w, 0, 2.0 / 5000);
    init::xavier_normal(w, rng, 3);
    check_moments(w, 0, 9 * 2.0 / 5000);
    init::lecun_uniform(w, rng);
    check_moments(w, 0, 1.0 / 1000);
    init::lecun_normal(w, rng);
    check_moments(w, 0, 1.0 / 1000);
    using Distribution = nn::InitRule::Shape;
    for (auto shape : {Distribution::uniform, Distribution::normal, Distribution::truncated}) {
        auto rule = nn::rule::xavier(2);
        rule.shape = shape;
        rule.draw(w, rng);
        check_moments(w, 0, 4 * 2.0 / 5000);
    }
    const double limit = 2 * 0.02 / 0.8796256610342;
    nn::rule::truncated(0.02).draw(w, rng);
    check_moments(w, 0, 0.0004);
    CHECK(std::all_of(w.data(), w.data() + w.numel(), [&](float x) { return std::abs(x) <= float(limit); }));
}

TEST_CASE("initialize: a whole model by a rule, by names, and the same numbers again") {
    nn::Sequential net{nn::Embedding(50, 40, {.padding_idx = 3}), nn::Linear(40, 300), nn::LayerNorm(300), nn::ReLU{},
                       nn::Linear(300, 200, {.bias = false})};
    random::Rng rng(4);
    auto rule = nn::rule::kaiming();
    rule.embedding = 0.02;
    rule.bias = 0.25;
    net.get<2>().weight->fill(7);
    nn::initialize(net, rng, rule);
    check_moments(net.get<1>().weight, 0, 2.0 / 40);
    check_moments(net.get<4>().weight, 0, 2.0 / 300);
    CHECK((*net.get<1>().bias)(299) == 0.25f);
    CHECK((*net.get<2>().weight)(5) == 1);
    CHECK((*net.get<2>().bias)(5) == 0);
    CHECK(net.get<0>().weight(3, 17) == 0);
    CHECK(std::abs(net.get<0>().weight(4, 17)) < 0.2f);
    const auto before = net.get<4>().weight.clone();
    random::Rng again(4);
    nn::initialize(net, again, rule);
    CHECK(test::bitwise_equal(before, net.get<4>().weight));
    nn::initialize(net, rng, nn::rule::orthogonal());
    CHECK(distance_from_orthonormal(net.get<4>().weight, 1) < 1e-5);

    std::vector<std::string> names;
    nn::initialize(net, [&](std::string_view name, auto& parameter) {
        names.emplace_back(name);
        parameter.fill(2);
    });
    CHECK(names == std::vector<std::string>{"0.weight", "1.weight", "1.bias", "2.weight", "2.bias", "4.weight"});
    CHECK(net.get<1>().weight(2, 3) == 2);
}

TEST_CASE("init: constants of the literature") {
    namespace init = nn::init;
    CHECK(init::deep_norm(100).alpha == Approx(3.7606031));
    CHECK(init::deep_norm(100).beta == Approx(0.1880302));
    CHECK(init::deep_norm(6).alpha == Approx(std::pow(12, 0.25)));
    CHECK(init::deep_norm_encoder(6, 6).alpha == Approx(0.81 * std::pow(std::pow(6, 5), 1.0 / 16)));
    CHECK(init::deep_norm_encoder(12, 3).beta == Approx(0.87 * std::pow(std::pow(12, 4) * 3, -1.0 / 16)));
    CHECK(init::deep_norm_decoder(6).alpha == Approx(std::pow(18, 0.25)));
    CHECK(init::deep_norm_decoder(6).beta == Approx(std::pow(72, -0.25)));
    CHECK(init::residual_scale(12) == Approx(1 / std::sqrt(24)));
    CHECK(init::fixup_scale(16) == 0.25);
    CHECK(init::fixup_scale(16, 3) == 0.5);
    CHECK(test::message_of<ValueError>([] { nn::init::fixup_scale(16, 1); }) ==
          "fixup_scale: a branch must have at least two layers but has 1");
    CHECK(init::layer_scale(18) == 0.1);
    CHECK(init::layer_scale(24) == 1e-5);
    CHECK(init::layer_scale(36) == 1e-6);
    const auto t5 = init::t5(512, 8, 64, 2048);
    CHECK(t5.query == Approx(std::pow(512 * 64, -0.5)));
    CHECK(t5.output == Approx(std::pow(8 * 64, -0.5)));
    CHECK(t5.ffn_out == Approx(std::pow(2048, -0.5)));
    CHECK(t5.tied_logits == Approx(std::pow(512, -0.5)));
    const auto clip = init::clip(512, 12);
    CHECK(clip.attention_out == Approx(std::pow(512, -0.5) * std::pow(24, -0.5)));
    CHECK(clip.ffn_in == Approx(std::pow(1024, -0.5)));
}

TEST_CASE("golden recipe of weights") {
    for (const auto& c : test::golden_cases("recipe")) {
        int seen = 0;
        for (const auto& [name, tensor] : c.tensors()) {
            if (!name.starts_with("out.")) continue;
            AnyTensor ours = AnyTensor::zeros(tensor.dtype(), tensor.shape());
            test::fill_by_recipe(std::string_view(name).substr(4), ours, c.number("recipe_gain", 1));
            const auto a = test::detail::doubles_of(ours), b = test::detail::doubles_of(tensor);
            for (std::size_t i = 0; i < a.size(); ++i) CHECK(test::error_of(a[i], b[i]) <= 1e-7);
            ++seen;
        }
        CHECK(seen == 11);
    }
}
