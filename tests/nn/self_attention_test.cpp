// Self-attention layers with and without softmax: gradients, golden vectors of fast-transformers' layer, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/linear_self_attention.hpp>
#include <lamina/nn/self_attention.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

template <class M>
void fill_wave(M& module) {
    double phase = 0;
    nn::for_each_tensor(module, [&](const std::string&, auto& x) {
        for (Index i = 0; i < x.numel(); ++i)
            x.mutable_data()[i] = typename std::decay_t<decltype(x)>::value_type(0.4 * test::wave_at(i, phase));
        phase += 0.37;
    });
}

}  // namespace

TEST_CASE("mixers: gradients") {
    const auto x = test::wave<double>(Shape{1, 5, 4});
    const auto check = [&](auto mixer) {
        fill_wave(mixer);
        CHECK(autograd::gradcheck([&](const auto& t) { return mixer(t); }, x) < 1e-7);
    };
    check(nn::SelfAttention<double>(4, 2, {.causal = true, .rotary = true}));
    check(nn::LinearSelfAttention<double, nn::CosineFeatures>(4, 2, {.causal = true}));
    CHECK(test::message_of<ValueError>([] { nn::SelfAttention<float>(6, 4); }) ==
          "SelfAttention: the number of heads must divide the width (4 and 6)");
    CHECK(test::message_of<ValueError>([] { nn::LinearSelfAttention<float>(6, 4); }) ==
          "LinearSelfAttention: the number of heads must divide the width (4 and 6)");
}

TEST_CASE("LinearSelfAttention: golden vectors") {
    for (const auto& c : test::golden_cases("linear_attention/fast_layer")) {
        auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
        nn::LinearSelfAttention<float> layer(x.dim(2), c.integer("heads", 1), {.causal = c.flag("causal", false)});
        nn::load_state_dict(layer, c.tensors(), {.strict = false, .prefix = "param."});
        autograd::Tape tape;
        const auto y = layer(x);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 3>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        nn::for_each_tensor(layer, [&](const std::string& name, const auto& p) {
            test::check_golden_grad(c, "param." + name, autograd::grad(p));
        });
    }
}
