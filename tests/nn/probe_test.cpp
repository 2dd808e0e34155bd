// What is known of initialisations, seen by the probe.
#include <lamina/nn/activation.hpp>
#include <lamina/nn/init_depth.hpp>
#include <lamina/nn/init_rule.hpp>
#include <lamina/nn/layer_norm.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/ntk.hpp>
#include <lamina/nn/probe.hpp>
#include <lamina/nn/residual.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/optim/adam.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using doctest::Approx;

namespace {

/// `depth` layers of one kind, named by their positions.
template <class Layer>
struct Stack {
    std::vector<Layer> layers;
    template <class X>
    X operator()(X x) const {
        for (const auto& layer : layers) x = layer(x);
        return x;
    }
    static void members(auto& self, auto&& visit) { visit("layers", self.layers); }
};
template <class Make>
auto stack(int depth, Make make) {
    Stack<decltype(make())> out;
    for (int i = 0; i < depth; ++i) out.layers.push_back(make());
    return out;
}
Tensor<float, 2> noise(Index rows, Index columns) {
    random::Rng rng(7);
    return randn<float>(rng, Shape{rows, columns});
}
double second_moment(const nn::ProbeRow& row) { return row.variance + row.mean * row.mean; }

constexpr Index width = 64;

auto dense_relu() { return nn::Sequential{nn::Linear(width, width, {.bias = false}), nn::ReLU{}}; }
auto feed_forward() { return nn::Sequential{nn::Linear(width, 2 * width), nn::ReLU{}, nn::Linear(2 * width, width)}; }
/// Variance of the gradient at the first block's output as a part of that at the last one's.
double gradient_kept(const nn::ProbeTable& table, std::string_view kind) {
    double first = -1, last = 0;
    for (const auto& row : table.rows)
        if (row.kind == kind) {
            if (first < 0) first = row.gradient_variance;
            last = row.gradient_variance;
        }
    return first / last;
}

/// Passes nothing back to its input: leaves the identity path alone.
template <class Branch>
struct Detached {
    Branch branch;
    Tensor<float, 2> operator()(const Tensor<float, 2>& x) const { return branch(x.detach()); }
    static void members(auto& self, auto&& visit) { visit("branch", self.branch); }
};

/// A residual branch without normalisation.
struct Fixup {
    nn::ScalarBias<float> before, between;
    nn::Linear<float> first{width, width, {.bias = false}}, second{width, width, {.bias = false}};
    nn::ScalarScale<float> scale;
    Tensor<float, 2> operator()(const Tensor<float, 2>& in) const {
        return in + scale(second(between(nn::ReLU{}(first(before(in))))));
    }
    static void members(auto& self, auto&& visit) {
        visit("before", self.before);
        visit("first", self.first);
        visit("between", self.between);
        visit("second", self.second);
        visit("scale", self.scale);
    }
};

}  // namespace

TEST_CASE("probe: a table that agrees with hand arithmetic") {
    nn::Sequential net{nn::Linear(2, 3), nn::ReLU{}};
    net.get<0>().weight.assign(Tensor<float, 2>{{1, 0}, {0, 1}, {-1, -1}});
    const auto table = nn::probe(net, Tensor<float, 2>{{1, 2}, {3, 4}});
    REQUIRE(table.rows.size() == 2);
    const auto &linear = table.rows[0], &relu = table.rows[1];
    CHECK(linear.name == "0");
    CHECK(linear.kind == "Linear");
    CHECK(linear.shape == "[2, 3]");
    CHECK(linear.mean == Approx(0));
    CHECK(linear.variance == Approx((1 + 4 + 9 + 9 + 16 + 49) / 6.0));
    CHECK(linear.dead == 0);
    CHECK(relu.mean == Approx(10 / 6.0));
    CHECK(relu.dead == Approx(1 / 3.0));
    CHECK(relu.gradient_variance > 0);
    CHECK(!autograd::has_grad(net.get<0>().weight));
    const std::string text = table.text();
    INFO(text);
    CHECK(
        text.starts_with("layer  kind    output  mean  variance   dead  gradient mean  variance\n"
                         "0      Linear  [2, 3]     0      14.7      0  "));
    CHECK(std::count(text.begin(), text.end(), '\n') == 3);
}

TEST_CASE("second moment is kept through 50 layers under the matching gain, and lost under another") {
    auto net = stack(50, dense_relu);
    random::Rng rng(1);
    const auto x = noise(128, width);
    const auto ratio = [&](const nn::InitRule& rule) {
        nn::initialize(net, rng, rule);
        const auto rows = nn::probe(net, x).rows;
        return second_moment(rows.back()) / second_moment(rows[1]);
    };
    const auto he = ratio(nn::rule::orthogonal(nn::init::gain::relu));
    CHECK(he > 0.5);
    CHECK(he < 2);
    CHECK(ratio(nn::rule::lecun()) < 1e-10);    // halves in every layer
    CHECK(ratio(nn::rule::kaiming(2)) > 1e10);  // doubles
}

TEST_CASE("gains of second moments keep those of activations") {
    random::Rng rng(2);
    const auto x = randn<float>(rng, Shape{1000, 1000});
    const auto moment = [&](auto activation, double gain) {
        double sum = 0;
        const auto y = activation(x);
        for (Index i = 0; i < y.numel(); ++i) sum += std::pow(gain * double(y.data()[i]), 2);
        CHECK(sum / 1e6 == Approx(1).epsilon(0.01));
    };
    namespace gain = nn::init::gain;
    moment(nn::ReLU{}, gain::relu);
    moment(nn::GELU{}, gain::second_moment::gelu);
    moment(nn::SiLU{}, gain::second_moment::silu);
    moment(nn::Tanh{}, gain::second_moment::tanh);
}

TEST_CASE("logits explode without 1/sqrt(d), and T5's deviations stand in for it") {
    random::Rng rng(3);
    const Index d = 256, rows = 200;
    const auto x = randn<float>(rng, Shape{rows, d});
    const auto logits_variance = [&](double query, double key) {
        auto q = empty<float>(Shape{d, d}), k = empty<float>(Shape{d, d});
        normal_(q, rng, 0, query);
        normal_(k, rng, 0, key);
        const auto logits = linear(linear(x, q), linear(x, k));
        double squares = 0;
        for (Index i = 0; i < logits.numel(); ++i) squares += std::pow(double(logits.data()[i]), 2);
        return squares / double(logits.numel());
    };
    const auto t5 = nn::init::t5(d, 1, d, 4 * d);
    CHECK(logits_variance(std::pow(d, -0.5), std::pow(d, -0.5)) > 0.7 * double(d));
    CHECK(logits_variance(t5.query, t5.key) == Approx(1).epsilon(0.3));
}

TEST_CASE("post-norm's identity path vanishes with depth, pre-norm's does not, DeepNorm repairs post-norm") {
    const int depth = 24;
    const auto x = noise(64, width);
    random::Rng rng(4);
    using Norm = nn::LayerNorm<float>;
    using Branch = Detached<decltype(feed_forward())>;
    const auto kept = [&](auto net, const nn::InitRule& rule, std::string_view kind) {
        nn::initialize(net, rng, rule);
        return gradient_kept(nn::probe(net, x), kind);
    };
    const auto post = [&](double alpha) {
        return stack(depth, [&] { return nn::PostNorm<Norm, Branch>(Norm(width), {feed_forward()}, alpha); });
    };
    const auto pre = stack(depth, [&] { return nn::PreNorm<Norm, Branch>(Norm(width), {feed_forward()}); });
    const auto scale = nn::init::deep_norm(depth);
    // x + F(x) of variance v is divided by sqrt(v) in every layer.
    CHECK(kept(post(1), nn::rule::kaiming(), "PostNorm") < 1e-6);
    CHECK(kept(pre, nn::rule::kaiming(), "PreNorm") == Approx(1));
    CHECK(kept(post(scale.alpha), nn::rule::xavier(scale.beta), "PostNorm") > 0.3);
}

TEST_CASE("LayerScale: features scaled, small at first") {
    nn::LayerScale<float> scale(3, nn::init::layer_scale(24));
    CHECK(scale.gamma(1) == 1e-5f);
    scale.gamma.assign(Tensor<float, 1>{1, 2, 3});
    CHECK(test::bitwise_equal(scale(Tensor<float, 2>{{1, 1, 1}, {2, 0, -1}}), Tensor<float, 2>{{1, 2, 3}, {2, 0, -3}}));
    CHECK(test::message_of<ShapeError>([&] {
              scale(zeros<float>(Shape{2, 1}));
          }) == "LayerScale: the input must end in 3 features but is [2, 1]");
    random::Rng rng(1);
    nn::reset_parameters(scale, rng);
    CHECK(scale.gamma(2) == 1e-5f);
}

TEST_CASE("ReZero begins as the identity: gradients pass unchanged through 200 layers, which then learn") {
    using Branch = decltype(feed_forward());
    auto net = stack(200, [&] { return nn::ReZero<Branch>(feed_forward()); });
    random::Rng rng(5);
    nn::initialize(net, rng, nn::rule::kaiming());
    const auto x = autograd::leaf(noise(4, width));
    const auto target = noise(4, width);
    CHECK(test::bitwise_equal(net(x), x));
    optim::Adam optimizer(nn::parameters(net), {.learning_rate = 1e-3});
    double losses[2] = {};
    for (double& loss : losses) {
        autograd::Tape tape;
        const auto value = sum(square(net(x) * 2.0f - target));
        tape.backward(value);
        loss = double(value.item());
        if (&loss == losses) {
            // The derivative of the loss passes the identity as it is.
            const autograd::NoGrad no_grad;
            const auto expected = (x * 2.0f - target) * 4.0f;
            CHECK(test::max_error(autograd::grad(x), expected) < 1e-5);
        }
        optimizer.step();
    }
    CHECK(std::isfinite(losses[1]));
    CHECK(losses[1] < losses[0]);
}

TEST_CASE("a DeepNorm network of 200 layers stays finite and learns; Fixup keeps a network without norms in bounds") {
    using Branch = decltype(feed_forward());
    const auto scale = nn::init::deep_norm(200);
    auto net = stack(200, [&] {
        return nn::PostNorm<nn::LayerNorm<float>, Branch>(nn::LayerNorm(width), feed_forward(), scale.alpha);
    });
    random::Rng rng(6);
    nn::initialize(net, rng, nn::rule::xavier(scale.beta));
    const auto x = noise(4, width), target = noise(4, width) * 0.5f;
    optim::Adam optimizer(nn::parameters(net), {.learning_rate = 1e-4});
    double losses[3] = {};
    for (double& loss : losses) {
        autograd::Tape tape;
        const auto value = sum(square(net(x) - target));
        tape.backward(value);
        loss = double(value.item());
        optimizer.step();
    }
    CHECK(losses[2] < losses[0]);

    auto branches = stack(100, [] { return Fixup(); });
    nn::initialize(branches, rng, nn::rule::kaiming(nn::init::gain::relu * nn::init::fixup_scale(100)));
    for (auto& branch : branches.layers) branch.second.weight.fill(0);
    CHECK(test::bitwise_equal(branches(x), x));
    CHECK(branches.layers[0].scale.weight(0) == 1);
    // Even with both layers drawn, the sum of 100 branches does not run away as it would at full scale.
    nn::initialize(branches, rng, nn::rule::kaiming(nn::init::gain::relu * nn::init::fixup_scale(100)));
    double squares = 0;
    const auto y = branches(x);
    for (Index i = 0; i < y.numel(); ++i) squares += std::pow(double(y.data()[i]), 2) / double(y.numel());
    CHECK(squares < 10);
}

TEST_CASE("NtkLinear: the function of Linear with scaled weights, standard normal weights") {
    nn::NtkLinear layer(100, 400);
    random::Rng rng(8);
    nn::reset_parameters(layer, rng);
    nn::Linear plain(100, 400);
    plain.weight.assign(layer.weight * 0.1f);
    const auto x = noise(30, 100);
    CHECK(test::max_error(layer(x), plain(x)) < 1e-5);
    double squares = 0;
    for (Index i = 0; i < layer.weight.numel(); ++i) squares += std::pow(double(layer.weight.data()[i]), 2);
    CHECK(squares / 40000 == Approx(1).epsilon(0.04));
}
