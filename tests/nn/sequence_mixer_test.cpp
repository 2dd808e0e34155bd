// Mixers in one block: each equals itself step by step and respects causality.
#include <lamina/nn/sequence_mixer.hpp>
#include <tests/support/compare.hpp>

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

/// A causal block of this mixer, with the properties that generation relies on.
template <class Mixer>
void check_block(Mixer mixer) {
    nn::MixerBlock<Mixer> block(8, std::move(mixer));
    fill_wave(block);
    auto x = test::wave<float>(Shape{2, 13, 8});
    const auto whole = block(x);
    typename Mixer::Cache cache{};
    for (Index i = 0; i < 13; ++i)
        CHECK(test::max_error(block.step(view::slice(x, 1, i, i + 1), cache), view::slice(whole, 1, i, i + 1)) < 3e-6);
    x.mutable_at(1, 6, 2) += 1;
    const auto changed = block(x);
    CHECK(test::bitwise_equal(view::slice(whole, 1, 0, 6), view::slice(changed, 1, 0, 6)));
    CHECK(test::max_error(whole, changed) > 1e-4);
}

/// Neither a batch of none nor a sequence of none is an error, and gradients are zeros.
template <class Mixer>
void check_empty(Mixer mixer) {
    fill_wave(mixer);
    for (const Shape<3>& shape : {Shape{0, 13, 8}, Shape{2, 0, 8}, Shape{0, 0, 8}}) {
        CHECK(mixer(zeros<float>(shape)).shape() == shape);
        const auto x = autograd::leaf(zeros<float>(shape));
        {
            autograd::Tape tape;
            tape.backward(mixer(x), x.detach());
        }
        CHECK(autograd::grad(x).shape() == shape);
        nn::for_each_tensor(mixer, [&](const std::string& name, auto& p) {
            CAPTURE(name);
            CHECK(test::max_error(autograd::grad(p), zeros_like(p)) == 0);
        });
    }
}

}  // namespace

TEST_CASE("mixers: no tokens, no batch") {
    for (bool causal : {false, true}) {
        check_empty(nn::SelfAttention<float>(8, 2, {.causal = causal, .rotary = true}));
        check_empty(nn::LinearSelfAttention<float>(8, 2, {.causal = causal}));
        for (bool shift : {false, true}) {
            check_empty(nn::GAU<float>(8, {.query_key_dim = 6, .causal = causal, .shift_tokens = shift}));
            check_empty(
                nn::FLASH<float>(8, {.group_size = 4, .query_key_dim = 6, .causal = causal, .shift_tokens = shift}));
        }
    }
}

TEST_CASE("mixers: a mask of tokens has the shape of the tokens") {
    const nn::GAU<float> gau(8, {.query_key_dim = 6});
    const nn::FLASH<float> flash(8, {.group_size = 4, .query_key_dim = 6});
    const auto x = zeros<float>(Shape{2, 3, 8});
    const auto check = [&](const auto& mixer, const std::string& name) {
        for (const Shape<2>& shape : {Shape{2, 4}, Shape{1, 3}, Shape{2, 2}})
            CHECK(test::message_of<ShapeError>([&] { mixer(x, zeros<bool>(shape)); }) ==
                  name + ": keep must be [2, 3] but is [" + std::to_string(shape[0]) + ", " + std::to_string(shape[1]) +
                      "]");
    };
    check(gau, "GAU");
    check(flash, "FLASH");
}

TEST_CASE("mixers: one block takes each, whole sequences and step by step") {
    check_block(nn::SelfAttention<float>(8, 2, {.causal = true}));
    check_block(nn::SelfAttention<float>(8, 2, {.causal = true, .rotary = true, .pairs = RotaryPairs::halves}));
    check_block(nn::LinearSelfAttention<float>(8, 2, {.causal = true}));
    check_block(nn::LinearSelfAttention<float, nn::ReluFeatures>(8, 2, {.causal = true}));
    check_block(nn::LinearSelfAttention<float, nn::CosineFeatures>(8, 2, {.causal = true}));
    check_block(nn::GAU<float>(8, {.query_key_dim = 6, .causal = true, .rotary_width = 4}));
    check_block(nn::FLASH<float>(8, {.group_size = 4, .query_key_dim = 6, .causal = true}));
}
