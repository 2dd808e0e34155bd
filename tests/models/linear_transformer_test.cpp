// The linear attention transformer: golden vectors, local heads against plain masked attention, causality, errors.
#include <lamina/models/linear_transformer.hpp>
#include <tests/support/golden_module.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("linear transformer: golden vectors of the attention") {
    for (const auto& c : test::golden_cases("linear_attention/lucid_SelfAttention")) {
        const Index width = c.integer("dim", 0), heads = c.integer("heads", 0);
        models::LinearTransformerAttention<float> layer({.width = width,
                                                         .heads = heads,
                                                         .head_width = c.integer("dim_head", width / heads),
                                                         .causal = c.flag("causal", false),
                                                         .local_heads = c.integer("n_local_attn_heads", 0),
                                                         .window = c.integer("local_attn_window_size", 128),
                                                         .blind_spot = c.integer("blindspot_size", 1)});
        nn::load_state_dict(layer, c.tensors(), {.strict = false, .prefix = "param."});
        const auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
        OptionalTensor<bool, 2> keep;
        if (c.has("in.mask")) keep = c.tensor<bool, 2>("in.mask");
        autograd::Tape tape;
        const auto y = layer(x, keep);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 3>("r.y"));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_parameters(c, layer);
    }
}

TEST_CASE("linear transformer: golden vectors of a language model") {
    for (const auto& c : test::golden_cases("linear_attention/lucid_LM")) {
        models::LinearTransformer<float> model({.vocabulary = c.integer("num_tokens", 0),
                                                .width = c.integer("dim", 0),
                                                .layers = c.integer("depth", 0),
                                                .longest = c.integer("max_seq_len", 0),
                                                .heads = c.integer("heads", 0),
                                                .head_width = c.integer("dim_head", 0),
                                                .causal = c.flag("causal", false),
                                                .local_heads = c.integer("n_local_attn_heads", 0),
                                                .window = c.integer("local_attn_window_size", 128),
                                                .blind_spot = c.integer("blindspot_size", 1)});
        const auto loaded = nn::load_state_dict(model, c.tensors(), {.strict = false, .prefix = "param."});
        CHECK(loaded.missing.empty());
        const auto ids = c.tensor<std::int64_t, 2>("in.ids");
        test::check_golden(c, "y", model(ids));
        autograd::Tape tape;
        const auto y = model(ids);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 3>("r.y"));
        test::check_golden_parameters(c, model);
    }
}

TEST_CASE("linear transformer: local heads equal attention under the windows' mask") {
    const Index window = 3, heads = 2;
    for (const Index n : {1, 3, 4, 11})
        for (const bool causal : {false, true}) {
            const auto q = test::wave<float>(Shape{2, n, 8}), k = test::wave<float>(Shape{2, n, 8}, 1),
                       v = test::wave<float>(Shape{2, n, 8}, 2);
            auto mask = empty<bool>(Shape{n, n});
            for (Index i = 0; i < n; ++i)
                for (Index j = 0; j < n; ++j)
                    mask.mutable_at(i, j) = std::abs(i / window - j / window) <= 1 && (!causal || j <= i);
            CHECK(test::max_error(models::detail::local_attention(q, k, v, heads, window, causal),
                                  multi_head_attention(q, k, v, heads, mask)) < 2e-6);
            // Padding: keys 2, 5, 8, ... of the second member.
            auto keep = ones<bool>(Shape{2, n});
            auto both = empty<bool>(Shape{Index(2), Index(1), n, n});
            for (Index i = 2; i < n; i += 3) keep.mutable_at(1, i) = false;
            for (Index b = 0; b < 2; ++b)
                for (Index i = 0; i < n; ++i)
                    for (Index j = 0; j < n; ++j) both.mutable_at(b, 0, i, j) = mask(i, j) && keep(b, j);
            CHECK(test::max_error(models::detail::local_attention(q, k, v, heads, window, causal, keep),
                                  multi_head_attention(q, k, v, heads, both)) < 2e-6);
        }
}

TEST_CASE("linear transformer: a later token changes nothing before it") {
    models::LinearTransformer<float> model({.vocabulary = 9,
                                            .width = 8,
                                            .layers = 2,
                                            .longest = 20,
                                            .heads = 2,
                                            .head_width = 4,
                                            .causal = true,
                                            .local_heads = 1,
                                            .window = 4});
    random::Rng rng(3);
    nn::reset_parameters(model, rng);
    Tensor<std::int64_t, 2> tokens{{1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 5}};
    const auto whole = model(tokens);
    tokens.mutable_at(0, 7) = 2;
    const auto changed = model(tokens);
    CHECK(test::bitwise_equal(slice(whole, 1, 0, 7), slice(changed, 1, 0, 7)));
    CHECK(test::max_error(slice(whole, 1, 7, 11), slice(changed, 1, 7, 11)) > 1e-4);
}

TEST_CASE("linear transformer: errors") {
    CHECK_THROWS_WITH_AS(models::LinearTransformerAttention<float>({.width = 8, .heads = 2, .local_heads = 3}),
                         "LinearTransformerAttention: local heads must lie in [0, 2] but are 3", ValueError);
    const models::LinearTransformer<float> model({.width = 8, .layers = 1, .longest = 3, .heads = 1, .window = 2});
    CHECK_THROWS_WITH_AS(model(zeros<std::int64_t>(Shape{1, 4})),
                         "LinearTransformer: the sequence must have at most 3 tokens but has 4", ValueError);
}
