// LSTM and GRU: golden vectors, the definition step by step, directions and stacks, states, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/recurrent.hpp>
#include <lamina/ops/flip.hpp>
#include <lamina/ops/reduce.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

template <class Layer>
void check_case(const test::GoldenCase& c) {
    const auto weights = c.tensor<float, 2>("param.weight_ih_l0");
    Layer layer(weights.dim(1), c.tensor<float, 2>("param.weight_hh_l0").dim(1),
                {.layers = c.integer("layers", 1),
                 .bias = c.has("param.bias_ih_l0"),
                 .batch_first = c.flag("batch_first", false),
                 .bidirectional = c.flag("bidirectional", false)});
    CHECK(nn::load_state_dict(layer, c.tensors(), {.strict = false, .prefix = "param."}).missing.empty());
    const auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
    autograd::Tape tape;
    const auto [y, state] = layer(x);
    test::check_golden(c, "y", y);
    auto loss = sum(y * c.tensor<float, 3>("r.y"));
    const char* const names[] = {"h", "c"};
    for (std::size_t k = 0; k < state.size(); ++k) {
        test::check_golden(c, names[k], state[k]);
        const std::string weight = std::string("r.") + names[k];
        if (c.has(weight)) loss = loss + sum(state[k] * c.tensor<float, 3>(weight));
    }
    tape.backward(loss);
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    nn::for_each_tensor(layer, [&](const std::string& name, const auto& p) {
        test::check_golden_grad(c, "param." + name, autograd::grad(p));
    });
}

template <class M>
void fill_wave(M& module) {
    double phase = 0;
    nn::for_each_tensor(module, [&](const std::string&, auto& x) {
        for (Index i = 0; i < x.numel(); ++i)
            x.mutable_data()[i] = typename std::decay_t<decltype(x)>::value_type(0.6 * test::wave_at(i, phase));
        phase += 0.37;
    });
}

double squashed(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("LSTM, GRU: golden vectors") {
    for (const auto& c : test::golden_cases("ops/recurrent")) {
        if (c.meta("op") == "gru") check_case<nn::GRU<float>>(c);
        else check_case<nn::LSTM<float>>(c);
    }
}

TEST_CASE("LSTM, GRU: two steps by hand") {
    nn::LSTM<double> lstm(1, 1);
    nn::GRU<double> gru(1, 1);
    fill_wave(lstm);
    fill_wave(gru);
    const Tensor<double, 3> x{{{0.5}}, {{-1.5}}};
    const auto z = [&](const auto& layer, Index gate, double in, double h, bool state_only = false) {
        const auto& w = layer.weights[0];
        const double u = (*w.bias_hh)(gate) + w.weight_hh(gate, 0) * h;
        return state_only ? u : u + (*w.bias_ih)(gate) + w.weight_ih(gate, 0) * in;
    };
    double h = 0, c = 0, g = 0;
    for (Index t = 0; t < 2; ++t) {
        const double in = x(t, 0, 0);
        c = squashed(z(lstm, 1, in, h)) * c + squashed(z(lstm, 0, in, h)) * std::tanh(z(lstm, 2, in, h));
        h = squashed(z(lstm, 3, in, h)) * std::tanh(c);
        const double update = squashed(z(gru, 1, in, g)), u = z(gru, 2, in, g, true), r = squashed(z(gru, 0, in, g));
        g = (1 - update) * std::tanh(z(gru, 2, in, g) - u + r * u) + update * g;
    }
    const auto lstm_result = lstm(x);
    CHECK(lstm_result.state[0].item() == doctest::Approx(h).epsilon(1e-12));
    CHECK(lstm_result.state[1].item() == doctest::Approx(c).epsilon(1e-12));
    CHECK(gru(x).state[0].item() == doctest::Approx(g).epsilon(1e-12));
}

TEST_CASE("LSTM, GRU: layers, directions, layouts and states fit together; gradients") {
    const auto check = [](auto layer, auto by_batch, auto below, auto backwards, auto above) {
        const auto x = test::wave<double>(Shape{4, 3, 2});
        for (auto* module : {&layer, &by_batch}) fill_wave(*module);
        // Two layers of two directions are single ones behind and beside each other.
        const auto all = nn::state_dict(layer);
        nn::load_state_dict(below, all, {.strict = false});
        const auto take = [&](auto& target, const std::string& suffix) {
            nn::for_each_tensor(target, [&](const std::string& name, auto& p) {
                p.assign(all[name.substr(0, name.size() - 2) + suffix]
                             .template as<double, std::decay_t<decltype(p)>::rank>());
            });
        };
        take(backwards, "l0_reverse");
        take(above, "l1");
        const auto first = cat<double, 3>({below(x).output, flip(backwards(flip(x, {0})).output, {0})}, 2);
        const auto [y, state] = layer(x);
        CHECK(y.shape() == Shape{4, 3, 6});
        CHECK(state[0].shape() == Shape{4, 3, 3});
        CHECK(test::max_error(slice(y, 2, 0, 3), above(first).output) < 1e-14);
        CHECK(test::max_error(select(state[0], 0, 2), slice(select(y, 0, 3), 1, 0, 3)) < 1e-15);
        CHECK(test::max_error(transpose(by_batch(transpose(x, 0, 1)).output, 0, 1), y) < 1e-14);
        // A sequence in two parts, the state handed on.
        const auto head = below(slice(x, 0, 0, 1)), tail = below(slice(x, 0, 1, 4), head.state), whole = below(x);
        CHECK(test::max_error(cat<double, 3>({head.output, tail.output}, 0), whole.output) < 1e-14);
        CHECK(test::max_error(tail.state.back(), whole.state.back()) < 1e-14);
        CHECK(autograd::gradcheck([&](const auto& t) { return layer(t).output; }, x) < 1e-7);
        CHECK(autograd::gradcheck([&](const auto& t) { return below(x, {t}).state.back(); },
                                  test::wave<double>(Shape{1, 3, 3}, 2)) < 1e-7);
    };
    const nn::RecurrentConfig both{.layers = 2, .bidirectional = true};
    const nn::RecurrentConfig batch{.layers = 2, .batch_first = true, .bidirectional = true};
    check(nn::LSTM<double>(2, 3, both), nn::LSTM<double>(2, 3, batch), nn::LSTM<double>(2, 3), nn::LSTM<double>(2, 3),
          nn::LSTM<double>(6, 3));
    check(nn::GRU<double>(2, 3, both), nn::GRU<double>(2, 3, batch), nn::GRU<double>(2, 3), nn::GRU<double>(2, 3),
          nn::GRU<double>(6, 3));
    const nn::GRU<float> plain(3, 5, {.bias = false});
    CHECK(nn::count_parameters(plain) == 15 * 3 + 15 * 5);
    CHECK(plain(zeros<float>(Shape{2, 0, 3})).output.shape() == Shape{2, 0, 5});
}

TEST_CASE("LSTM, GRU: initial values, dropout between layers, errors") {
    nn::LSTM<float> lstm(3, 16, {.layers = 2, .dropout = 0.5});
    random::Rng rng(1);
    nn::reset_parameters(lstm, rng);
    float largest = 0;
    for (float x : lstm.weights[1].weight_hh.span()) largest = std::max(largest, std::abs(x));
    CHECK(largest <= 0.25f);
    CHECK(largest > 0.24f);
    const auto x = test::wave<float>(Shape{3, 2, 3});
    const auto y = lstm(x).output;
    CHECK(test::bitwise_equal(y, lstm(x).output));
    {
        autograd::Tape tape;
        CHECK(test::max_error(lstm(x).output, y) > 1e-4);
    }
    CHECK(test::message_of<ShapeError>([&] {
              lstm(zeros<float>(Shape{3, 2, 4}));
          }) == "LSTM: the input must have steps of 3 features but has shape [3, 2, 4]");
    CHECK(test::message_of<ShapeError>([&] {
              lstm(zeros<float>(Shape{0, 2, 3}));
          }) == "LSTM: the input must have steps of 3 features but has shape [0, 2, 3]");
    CHECK(test::message_of<ShapeError>([&] {
              lstm(x, {zeros<float>(Shape{1, 2, 16})});
          }) == "LSTM: the state must be [2, 2, 16] but is [1, 2, 16]");
    CHECK(test::message_of<ValueError>([] { nn::GRU<float>(3, 0); }) ==
          "GRU: layers and hidden features must be at least 1 but are 1 and 0");
}
