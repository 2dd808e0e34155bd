// Transformer layers: golden vectors, decoding with caches, gradients, stacks.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/transformer.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

template <class Layer, class Call>
void check_layer(const test::GoldenCase& c, const Call& call) {
    Layer layer(c.as_real<float, 3>("in.x").dim(2), c.integer("heads", 1),
                {.dim_feedforward = c.integer("ff", 0),
                 .dropout = 0,
                 .layer_norm_eps = c.number("layer_norm_eps", 1e-5),
                 .batch_first = true,
                 .norm_first = c.flag("norm_first", false)});
    nn::LoadOptions only_parameters{.strict = false, .prefix = "param."};
    nn::load_state_dict(layer, c.tensors(), only_parameters);
    auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
    test::check_golden(c, "y", call(layer, x, c));  // fused
    autograd::Tape tape;
    const auto y = call(layer, x, c);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, 3>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    nn::for_each_tensor(layer, [&](const std::string& name, const auto& p) {
        test::check_golden_grad(c, "param." + name, autograd::grad(p));
    });
}

/// The masks of a case by PyTorch's names.
nn::MultiheadMasks<float> masks_of(const test::GoldenCase& c, const char* mask, const char* padding) {
    nn::MultiheadMasks<float> masks;
    if (c.has(padding)) masks.key_padding_mask = c.tensor<bool, 2>(padding);
    if (!c.has(mask)) return masks;
    if (c.any(mask).dtype() == DType::boolean) masks.attn_mask = c.tensor<bool, 2>(mask);
    else masks.bias = c.tensor<float, 2>(mask);
    return masks;
}
const auto encode = [](const auto& layer, const auto& x, const test::GoldenCase& c) {
    return layer(x, masks_of(c, "in.src_mask", "in.key_padding_mask"));
};
const auto decode = [](const auto& layer, const auto& x, const test::GoldenCase& c) {
    return layer(x, c.tensor<float, 3>("in.memory"), masks_of(c, "in.tgt_mask", "in.tgt_key_padding_mask"),
                 masks_of(c, "in.memory_mask", "in.memory_key_padding_mask"));
};

template <class M>
void fill_wave(M& module) {
    double phase = 0;
    nn::for_each_tensor(module, [&](const std::string&, auto& x) {
        for (Index i = 0; i < x.numel(); ++i)
            x.mutable_data()[i] = typename std::decay_t<decltype(x)>::value_type(0.3 * test::wave_at(i, phase));
        phase += 0.37;
    });
}

}  // namespace

TEST_CASE("Transformer layers: golden vectors") {
    for (const auto& c : test::golden_cases("ops/transformer_layer")) {
        const bool gelu = c.meta("activation") == "gelu";
        if (c.meta("op") == "transformer_encoder_layer") {
            if (gelu) check_layer<nn::TransformerEncoderLayer<float, nn::GELU>>(c, encode);
            else check_layer<nn::TransformerEncoderLayer<float>>(c, encode);
        } else {
            if (gelu) check_layer<nn::TransformerDecoderLayer<float, nn::GELU>>(c, decode);
            else check_layer<nn::TransformerDecoderLayer<float>>(c, decode);
        }
    }
}

TEST_CASE("Transformer layers: steps with a cache equal the full causal pass") {
    for (bool norm_first : {false, true}) {
        const nn::TransformerConfig config{.dim_feedforward = 24, .batch_first = true, .norm_first = norm_first};
        nn::TransformerEncoderLayer<float> encoder(12, 3, config);
        nn::TransformerDecoderLayer<float> decoder(12, 3, config);
        fill_wave(encoder);
        fill_wave(decoder);
        const auto x = test::wave<float>(Shape{2, 9, 12}), memory = test::wave<float>(Shape{2, 5, 12}, 1);
        const auto encoded = encoder(x, {.is_causal = true}), decoded = decoder(x, memory, {.is_causal = true});
        nn::KeyValueCache<float> cache;
        auto decoder_cache = decoder.start(memory);
        for (Index i = 0; i < 9; ++i) {
            const auto token = view::slice(x, 1, i, i + 1);
            CHECK(test::max_error(encoder.step(token, cache), view::slice(encoded, 1, i, i + 1)) < 2e-6);
            CHECK(test::max_error(decoder.step(token, decoder_cache), view::slice(decoded, 1, i, i + 1)) < 2e-6);
        }
    }
}

TEST_CASE("Transformer: stacks name their layers as PyTorch does; dropout acts in training only") {
    const auto make = [] { return nn::TransformerEncoderLayer<float>(8, 2, {.dim_feedforward = 16}); };
    nn::TransformerEncoder<> stack(2, make, nn::LayerNorm<float>(8));
    fill_wave(stack);
    CHECK(nn::state_dict(stack).find("layers.1.self_attn.in_proj_weight") != nullptr);
    CHECK(nn::state_dict(stack).find("norm.bias") != nullptr);
    CHECK(nn::count_parameters(stack) == 2 * (4 * 64 + 32 + 2 * 128 + 16 + 8 + 32) + 16);
    const auto x = test::wave<float>(Shape{5, 2, 8});
    const auto y = stack(x);
    CHECK(test::bitwise_equal(y, stack(x)));
    autograd::Tape tape;
    CHECK(test::max_error(stack(x), y) > 1e-3);
    const auto make_decoder = [] { return nn::TransformerDecoderLayer<float>(8, 2, {.dim_feedforward = 16}); };
    nn::TransformerDecoder<nn::TransformerDecoderLayer<float>> decoder(1, make_decoder);
    CHECK(decoder(x, x).shape() == x.shape());
}
