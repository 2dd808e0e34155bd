// Gated attention units: golden vectors, every function, causality, decoding step by step.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/gau.hpp>
#include <lamina/nn/scale_norm.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using nn::GauFunction;

namespace {

/// FLASH-pytorch wraps its Linear layers in a Sequential: to_hidden.0.weight.
StateDict without_positions(const StateDict& state) {
    StateDict out;
    for (const auto& [name, tensor] : state) {
        std::string plain = name;
        if (const auto at = plain.find(".0."); at != plain.npos) plain.replace(at, 3, ".");
        out.insert(plain, tensor);
    }
    return out;
}
std::string with_positions(std::string name) {
    if (name.starts_with("to_")) name.insert(name.find('.'), ".0");
    return name;
}

template <class M>
void fill_wave(M& module) {
    double phase = 0;
    nn::for_each_tensor(module, [&](const std::string&, auto& x) {
        for (Index i = 0; i < x.numel(); ++i)
            x.mutable_data()[i] = typename std::decay_t<decltype(x)>::value_type(0.4 * test::wave_at(i, phase));
        phase += 0.37;
    });
}

const GauFunction functions[] = {GauFunction::relu2,   GauFunction::relu2_paper, GauFunction::relu2_bias_in,
                                 GauFunction::laplace, GauFunction::softmax,     GauFunction::softmax_plus};

template <class Norm>
void check_case(const test::GoldenCase& c) {
    auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
    const bool laplace = c.flag("laplace_attn_fn", false);
    nn::GAU<float, Norm> unit(x.dim(2), {.query_key_dim = c.integer("query_key_dim", 128),
                                         .expansion = c.number("expansion_factor", 2),
                                         .function = laplace ? GauFunction::laplace : GauFunction::relu2_bias_in,
                                         .causal = c.flag("causal", false),
                                         .relative_bias = c.has("param.rel_pos_bias.relative_attention_bias.weight"),
                                         .residual = c.flag("add_residual", true)});
    nn::load_state_dict(unit, without_positions(c.tensors()), {.strict = false, .prefix = "param."});
    OptionalTensor<bool, 2> keep;
    if (c.has("in.mask")) keep = c.tensor<bool, 2>("in.mask");
    test::check_golden(c, "y", unit(x, keep));
    autograd::Tape tape;
    const auto y = unit(x, keep);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, 3>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    nn::for_each_tensor(unit, [&](const std::string& name, const auto& p) {
        test::check_golden_grad(c, "param." + with_positions(name), autograd::grad(p));
    });
}

}  // namespace

TEST_CASE("GAU: golden vectors") {
    for (const auto& c : test::golden_cases("gau/flash_pytorch_GAU")) {
        if (c.has("param.norm.g")) check_case<nn::ScaleNorm<float>>(c);
        else check_case<nn::LayerNorm<float>>(c);
    }
}

TEST_CASE("GAU: gradients of every function; a later token changes nothing before it") {
    for (GauFunction f : functions) {
        nn::GAU<double> unit(
            6, {.query_key_dim = 4, .function = f, .causal = true, .rotary_width = 4, .shift_tokens = true});
        fill_wave(unit);
        auto x = test::wave<double>(Shape{2, 7, 6});
        const auto keep = test::wave<bool>(Shape{2, 7});
        CHECK(autograd::gradcheck([&](const auto& t) { return unit(t, keep); }, x) < 1e-7);
        CHECK(autograd::gradcheck([&](const auto& t) { return unit(t); }, x) < 1e-7);
        const auto before = unit(x);
        for (Index i = 0; i < 6; ++i) x.mutable_at(1, 4, i) += 0.5;
        const auto after = unit(x);
        CHECK(test::bitwise_equal(view::slice(before, 1, 0, 4), view::slice(after, 1, 0, 4)));
        CHECK(test::max_error(before, after) > 1e-6);
    }
}

TEST_CASE("GAU: a sequence of no tokens has no results") {
    for (GauFunction f : functions) {
        const nn::GAU<float> unit(8, {.query_key_dim = 6, .function = f});
        CHECK(unit(zeros<float>(Shape{2, 0, 8})).shape() == Shape{2, 0, 8});
    }
}

TEST_CASE("GAU: steps with a cache equal the causal pass") {
    for (GauFunction f : functions) {
        nn::GAU<float> unit(8, {.query_key_dim = 6, .function = f, .causal = true, .rotary_width = 2});
        fill_wave(unit);
        const auto x = test::wave<float>(Shape{2, 40, 8});
        const auto whole = unit(x);
        nn::KeyValueCache<float> cache;
        const bool by_length =
            f == GauFunction::relu2_paper || f == GauFunction::relu2_bias_in || f == GauFunction::laplace;
        if (by_length) {
            CHECK(test::message_of<ValueError>([&] { unit.step(x, cache); }) ==
                  "GAU: steps want a causal unit with a function that does not divide by the length");
            continue;
        }
        for (Index i = 0; i < 40; i += i < 5 ? 1 : 7)
            CHECK(test::max_error(unit.step(view::slice(x, 1, i, i < 5 ? i + 1 : i + 7), cache),
                                  view::slice(whole, 1, i, i < 5 ? i + 1 : i + 7)) < 2e-6);
    }
}

TEST_CASE("GAU: long sequences, which go in pieces, give what the recorded pass gives (large)") {
    const Index n = nn::detail::gated_piece + 70;
    const auto x = test::wave<float>(Shape{2, n, 6});
    const auto keep = test::wave<bool>(Shape{2, n});
    for (const GauFunction f : {GauFunction::relu2, GauFunction::relu2_bias_in, GauFunction::softmax_plus})
        for (const bool causal : {false, true}) {
            nn::GAU<float> unit(
                6, {.query_key_dim = 4, .function = f, .causal = causal, .rotary_width = 2, .shift_tokens = causal});
            fill_wave(unit);
            const auto whole = [&](const auto&... arguments) {
                autograd::Tape tape;
                return unit(x, arguments...);
            };
            CHECK(test::max_error(unit(x), whole()) < 5e-6);
            CHECK(test::max_error(unit(x, keep), whole(keep)) < 5e-6);
        }
}
