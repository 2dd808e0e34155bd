#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/pool.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/nn/summary.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace lamina;

namespace {

struct Block {
    nn::Linear<float> first{3, 4};
    nn::Linear<float> second{4, 2, {.bias = false}};
    Buffer<float, 1> mean{Shape{2}};
    template <int R>
    Tensor<float, R> operator()(const Tensor<float, R>& x) const {
        return second(first(x));
    }
    static void members(auto& self, auto&& visit) {
        visit("first", self.first);
        visit("second", self.second);
        visit("mean", self.mean);
    }
};
struct Model {
    Block head;
    std::vector<Block> blocks = std::vector<Block>(2);
    static void members(auto& self, auto&& visit) {
        visit("head", self.head);
        visit("blocks", self.blocks);
    }
};

auto small_network() {
    return nn::Sequential{nn::MaxPool2d{{.kernel = 2}}, nn::Flatten{}, nn::Linear(8, 6), nn::ReLU{}, nn::Linear(6, 3)};
}

}  // namespace

TEST_CASE("module: names follow the members, with indices for lists and positions") {
    Model model;
    std::string names;
    for (const auto& [name, tensor] : nn::state_dict(model)) names += name + tensor.shape_text() + ' ';
    CHECK(names ==
          "head.first.weight[4, 3] head.first.bias[4] head.second.weight[2, 4] head.mean[2] "
          "blocks.0.first.weight[4, 3] blocks.0.first.bias[4] blocks.0.second.weight[2, 4] blocks.0.mean[2] "
          "blocks.1.first.weight[4, 3] blocks.1.first.bias[4] blocks.1.second.weight[2, 4] blocks.1.mean[2] ");
    CHECK(nn::parameters(model).size() == 9);
    CHECK(nn::count_parameters(model) == 3 * (12 + 4 + 8));
    names.clear();
    for (const auto& p : nn::parameters(small_network())) names += p.name + ' ';
    CHECK(names == "2.weight 2.bias 4.weight 4.bias ");
}

TEST_CASE("module: state round-trips, and differences are listed at once before anything changes") {
    random::Rng rng(1);
    auto a = small_network(), b = small_network();
    nn::reset_parameters(a, rng);
    nn::load_state_dict(b, nn::state_dict(a));
    const auto x = test::wave<float>(Shape{2, 2, 4, 4});
    CHECK(test::bitwise_equal(a(x), b(x)));

    Block block;
    StateDict state;
    state.insert("first.weight", ones<float>(Shape{4, 3}));
    state.insert("first.bias", ones<float>(Shape{5}));
    state.insert("other", ones<float>(Shape{1}));
    CHECK(test::message_of<ValueError>([&] { nn::load_state_dict(block, state); }) ==
          "load_state_dict: names and shapes must match:\n"
          "  mismatched first.bias: [5] given, [4] needed\n"
          "  missing second.weight [2, 4]\n"
          "  missing mean [2]\n"
          "  unexpected other [1]");
    CHECK(block.first.weight(0, 0) == 0);
    StateDict prefixed;
    prefixed.insert("model.first.weight", full<double>(Shape{4, 3}, 2));
    nn::load_state_dict(block, prefixed, {.strict = false, .prefix = "model."});
    CHECK(block.first.weight(3, 2) == 2);
}

TEST_CASE("load_state_dict: other names in the file, what was left over, types that cannot be converted") {
    Block block;
    StateDict state;
    state.insert("net.old.one.weight", full<float>(Shape{4, 3}, 5));
    state.insert("net.old.one.bias", full<float>(Shape{4}, 6));
    state.insert("net.extra", ones<float>(Shape{1}));
    state.insert("elsewhere", ones<float>(Shape{1}));
    const auto result = nn::load_state_dict(
        block, state, {.strict = false, .prefix = "net.", .rename = {{"old.one.", "first."}, {"old.", "second."}}});
    CHECK(block.first.weight(1, 1) == 5);
    CHECK((*block.first.bias)(3) == 6);
    CHECK(result.missing == std::vector<std::string>{"second.weight", "mean"});
    CHECK(result.unexpected == std::vector<std::string>{"net.extra"});
    StateDict integers;
    integers.insert("first.weight", full<std::int32_t>(Shape{4, 3}, 5));
    CHECK(test::message_of<ValueError>([&] { nn::load_state_dict(block, integers, {.strict = false}); }) ==
          "load_state_dict: names and shapes must match:\n  mismatched first.weight: int32 given, float32 needed");
}

TEST_CASE("module: frozen parameters are no parameters, unfrozen ones are again") {
    auto net = small_network();
    nn::freeze(net);
    CHECK(nn::parameters(net).empty());
    CHECK(nn::count_parameters(net) == 8 * 6 + 6 + 18 + 3);
    {
        autograd::Tape tape;
        CHECK_FALSE(net(test::wave<float>(Shape{1, 2, 4, 4})).grad_link());
        CHECK(tape.size() == 0);
    }
    nn::unfreeze(net);
    CHECK(nn::parameters(net).size() == 4);
}

TEST_CASE("sequential: fused and recorded passes agree, and a changed weight is noticed") {
    random::Rng rng(3);
    auto net = small_network();
    nn::reset_parameters(net, rng);
    const auto x = test::wave<float>(Shape{5, 2, 4, 4});
    const auto recorded = [&] {
        autograd::Tape tape;
        return net(x);
    };
    CHECK(test::max_error(net(x), recorded()) < 1e-6);
    const auto before = net(x);
    net.get<2>().weight.mutable_at(0, 0) += 1;
    CHECK(test::max_error(before, net(x)) > 1e-3);
    CHECK(test::max_error(net(x), recorded()) < 1e-6);
    const auto copy = net;  // shares parameters, not the prepared weights
    CHECK(test::bitwise_equal(copy(x), net(x)));
}

TEST_CASE("summary: a row per layer with output shapes and parameters") {
    CHECK(nn::summary(small_network(), Shape{2, 2, 4, 4}) ==
          "layer  kind       output          parameters\n"
          "0      MaxPool2d  [2, 2, 2, 2]             0\n"
          "1      Flatten    [2, 8]                   0\n"
          "2      Linear     [2, 6]                  54\n"
          "3      relu       [2, 6]                   0\n"
          "4      Linear     [2, 3]                  21\n"
          "input [2, 2, 4, 4], parameters 75, learning 75\n");
}

TEST_CASE("init: bounds and variances of the schemes, zero by default") {
    nn::Linear<double> layer(400, 300);
    CHECK(layer.weight(0, 0) == 0);
    const auto moments = [](const auto& x) {
        double mean = 0, square = 0, top = 0;
        for (Index i = 0; i < x.numel(); ++i) {
            mean += x.data()[i];
            square += x.data()[i] * x.data()[i];
            top = std::max(top, std::fabs(x.data()[i]));
        }
        return std::array{mean / double(x.numel()), square / double(x.numel()), top};
    };
    random::Rng rng(5);
    nn::reset_parameters(layer, rng);
    auto [mean, variance, top] = moments(layer.weight);
    CHECK(std::fabs(mean) < 3 * 0.05 / std::sqrt(3.0 * 120000));
    CHECK(variance == doctest::Approx(1.0 / (3 * 400)).epsilon(0.02));
    CHECK(top <= 0.05);
    CHECK(moments(*layer.bias)[2] <= 0.05);
    nn::init::kaiming_normal(layer.weight, rng);
    CHECK(moments(layer.weight)[1] == doctest::Approx(2.0 / 400).epsilon(0.02));
    nn::init::kaiming_uniform(layer.weight, rng, {.gain = 1, .fan_out = true});
    CHECK(moments(layer.weight)[1] == doctest::Approx(1.0 / 300).epsilon(0.02));
    nn::init::xavier_uniform(layer.weight, rng);
    CHECK(moments(layer.weight)[1] == doctest::Approx(2.0 / 700).epsilon(0.02));
    CHECK(moments(layer.weight)[2] <= std::sqrt(6.0 / 700));
    nn::init::xavier_normal(layer.weight, rng, 2);
    CHECK(moments(layer.weight)[1] == doctest::Approx(8.0 / 700).epsilon(0.02));
    CHECK(nn::init::fans(Shape{6, 4, 3, 5}).in == 60);
    CHECK(nn::init::fans(Shape{6, 4, 3, 5}).out == 90);
    CHECK(test::message_of<ShapeError>([] { nn::init::fans(Shape{4}); }) ==
          "init: fans need a weight of at least two dimensions but it has shape [4]");
}
