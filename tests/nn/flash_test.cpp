// FLASH: golden vectors, lengths that are no whole chunks, causality across chunks, decoding step by step.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/flash.hpp>
#include <lamina/nn/scale_norm.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// FLASH-pytorch wraps two of its Linear layers in a Sequential: to_hidden.0.weight.
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
    if (name.starts_with("to_hidden") || name.starts_with("to_qk")) name.insert(name.find('.'), ".0");
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

template <class Norm>
void check_case(const test::GoldenCase& c) {
    auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
    nn::FLASH<float, Norm> layer(x.dim(2), {.group_size = c.integer("group_size", 256),
                                            .query_key_dim = c.integer("query_key_dim", 128),
                                            .expansion = c.number("expansion_factor", 2),
                                            .causal = c.flag("causal", false),
                                            .laplace = c.flag("laplace_attn_fn", false),
                                            .rotary_width = c.integer("rotary_dim", 32),
                                            .shift_tokens = c.flag("shift_tokens", false),
                                            .across_chunks = c.flag("reduce_group_non_causal_attn", true)});
    nn::load_state_dict(layer, without_positions(c.tensors()), {.strict = false, .prefix = "param."});
    OptionalTensor<bool, 2> keep;
    if (c.has("in.mask")) keep = c.tensor<bool, 2>("in.mask");
    test::check_golden(c, "y", layer(x, keep));
    autograd::Tape tape;
    const auto y = layer(x, keep);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, 3>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    nn::for_each_tensor(layer, [&](const std::string& name, const auto& p) {
        test::check_golden_grad(c, "param." + with_positions(name), autograd::grad(p));
    });
}

}  // namespace

TEST_CASE("FLASH: golden vectors") {
    for (const auto& c : test::golden_cases("gau/flash_pytorch_FLASH")) {
        if (c.has("param.norm.g")) check_case<nn::ScaleNorm<float>>(c);
        else check_case<nn::LayerNorm<float>>(c);
    }
}

TEST_CASE("FLASH: a linear part within chunks sees nothing of the others") {
    const auto make = [](bool across) {
        nn::FLASH<double> layer(6, {.group_size = 4, .query_key_dim = 4, .across_chunks = across});
        fill_wave(layer);
        return layer;
    };
    const auto within = make(false), across = make(true);
    auto near = make(true);
    view::select<double, 2>(near.qk_offset_scale.gamma, 0, 3).fill(0);  // linear keys of zeros
    view::select<double, 2>(near.qk_offset_scale.beta, 0, 3).fill(0);
    auto x = test::wave<double>(Shape{2, 7, 6});
    const auto y = within(x), head = slice(x, 1, 0, 4);
    // Of 7 tokens and not of 4 is the mean; all else of the first chunk is that of a sequence of its own.
    const auto expected = (across(head) - near(head)) * (4.0 / 7);
    CHECK(test::max_error(slice(y, 1, 0, 4) - near(head), expected) < 1e-14);
    x.mutable_at(1, 2, 3) += 1;
    CHECK(test::bitwise_equal(contiguous(slice(within(x), 1, 4, 7)), contiguous(slice(y, 1, 4, 7))));
    CHECK(autograd::gradcheck([&](const auto& t) { return within(t); }, x) < 1e-7);
    CHECK(within(zeros<double>(Shape{0, 5, 6})).shape() == Shape{0, 5, 6});
}

TEST_CASE("FLASH: steps equal the causal pass; a later token changes nothing before it") {
    for (auto linear_norm : {nn::FlashLinearNorm::group, nn::FlashLinearNorm::count}) {
        nn::FLASH<float> layer(8, {.group_size = 4,
                                   .query_key_dim = 6,
                                   .causal = true,
                                   .rotary_width = 4,
                                   .shift_tokens = true,
                                   .linear_norm = linear_norm});
        fill_wave(layer);
        auto x = test::wave<float>(Shape{2, 15, 8});
        const auto whole = layer(x);
        nn::FLASH<float>::Cache cache;
        for (Index i = 0; i < 15; ++i)
            CHECK(test::max_error(layer.step(view::slice(x, 1, i, i + 1), cache), view::slice(whole, 1, i, i + 1)) <
                  2e-6);
        x.mutable_at(0, 9, 3) += 1;
        const auto changed = layer(x);
        CHECK(test::bitwise_equal(view::slice(whole, 1, 0, 9), view::slice(changed, 1, 0, 9)));
        CHECK(test::max_error(view::slice(whole, 1, 12, 15), view::slice(changed, 1, 12, 15)) > 1e-6);
    }
    nn::FLASH<float> both(8, {.group_size = 4, .query_key_dim = 6});
    nn::FLASH<float>::Cache cache;
    CHECK(test::message_of<ValueError>([&] {
              both.step(zeros<float>(Shape{1, 1, 8}), cache);
          }) == "FLASH: steps want a causal layer");
}

TEST_CASE("FLASH: one chunk, causal, is a gated attention unit; padding; gradients") {
    nn::FLASH<double> layer(6, {.group_size = 16, .query_key_dim = 4, .causal = true, .rotary_width = 0});
    nn::GAU<double> unit(
        6, {.query_key_dim = 4, .function = nn::GauFunction::relu2_paper, .causal = true, .relative_bias = false});
    layer.rel_pos_bias.reset();
    fill_wave(layer);
    StateDict shared = nn::state_dict(layer);
    nn::load_state_dict(unit, shared, {.strict = false});
    for (int head : {0, 1}) {  // the unit's queries and keys are the quadratic ones
        view::select(unit.offsetscale.gamma, 0, head).assign(view::select(layer.qk_offset_scale.gamma, 0, 2 * head));
        view::select(unit.offsetscale.beta, 0, head).assign(view::select(layer.qk_offset_scale.beta, 0, 2 * head));
    }
    const auto x = test::wave<double>(Shape{2, 16, 6});
    CHECK(test::max_error(layer(x), unit(x)) < 1e-14);

    nn::FLASH<double> open(6, {.group_size = 4, .query_key_dim = 4, .laplace = true, .rotary_width = 2});
    fill_wave(open);
    auto y = test::wave<double>(Shape{2, 7, 6});
    auto keep = full<bool>(Shape{2, 7}, true);
    keep.mutable_at(1, 5) = keep.mutable_at(1, 6) = false;
    CHECK(autograd::gradcheck([&](const auto& t) { return open(t, keep); }, y) < 1e-7);
    const auto before = open(y, keep);
    for (Index i = 0; i < 6; ++i) y.mutable_at(1, 6, i) += 1;
    CHECK(test::bitwise_equal(view::slice(view::slice(before, 0, 1, 2), 1, 0, 5),
                              view::slice(view::slice(open(y, keep), 0, 1, 2), 1, 0, 5)));
}

TEST_CASE("FLASH: long sequences, which go in pieces, give what the recorded pass gives (large)") {
    const Index n = 2 * nn::detail::gated_piece + 70;
    const auto x = test::wave<float>(Shape{2, n, 6});
    const auto keep = test::wave<bool>(Shape{2, n});
    for (const bool causal : {false, true})
        for (const Index group : {16, 48}) {
            nn::FLASH<float> layer(6, {.group_size = group,
                                       .query_key_dim = 4,
                                       .causal = causal,
                                       .rotary_width = 2,
                                       .shift_tokens = causal,
                                       .linear_norm = nn::FlashLinearNorm::count});
            fill_wave(layer);
            const auto whole = [&](const auto&... arguments) {
                autograd::Tape tape;
                return layer(x, arguments...);
            };
            CHECK(test::max_error(layer(x), whole()) < 5e-6);
            CHECK(test::max_error(layer(x, keep), whole(keep)) < 5e-6);
            if (!causal) continue;
            auto changed = x.clone();
            changed.mutable_at(0, n - 40, 3) += 1;
            CHECK(test::bitwise_equal(view::slice(layer(x), 1, 0, n - 40), view::slice(layer(changed), 1, 0, n - 40)));
        }
}
