// FLASH's language model: golden vectors, decoding step by step, causality.
#include <lamina/models/flash_transformer.hpp>
#include <tests/support/golden_module.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("FLASH transformer: golden vectors") {
    for (const auto& c : test::golden_cases("gau/flash_pytorch_FLASHTransformer")) {
        models::FlashTransformer<float> model({.vocabulary = c.integer("num_tokens", 0),
                                               .width = c.integer("dim", 0),
                                               .layers = c.integer("depth", 0),
                                               .group_size = c.integer("group_size", 0),
                                               .query_key_dim = c.integer("query_key_dim", 0),
                                               .causal = c.flag("causal", false)});
        StateDict weights;
        for (const auto& [name, tensor] : c.tensors())
            if (name.starts_with("param.")) weights.insert(name.substr(6), tensor);
        nn::load_state_dict(model, models::from_flash_pytorch(weights));  // strict: no name is left over
        const auto ids = c.tensor<std::int64_t, 2>("in.ids");
        test::check_golden(c, "y", model(ids));
        autograd::Tape tape;
        const auto y = model(ids);
        test::check_golden(c, "y", y);
        tape.backward(y, c.tensor<float, 3>("r.y"));
        test::check_golden_parameters(c, model, [](std::string name) {
            for (const std::string_view part : {"to_hidden.", "to_qk."})
                if (const auto at = name.find(part); at != name.npos) name.insert(at + part.size(), "0.");
            return name;
        });
    }
}

TEST_CASE("FLASH transformer: steps equal the causal pass; a later token changes nothing before it") {
    models::FlashTransformer<float> model(
        {.vocabulary = 9, .width = 8, .layers = 2, .group_size = 4, .query_key_dim = 6, .causal = true});
    random::Rng rng(3);
    nn::reset_parameters(model, rng);
    for (auto& layer : model.layers) normal_(layer.qk_offset_scale.gamma, rng);
    Tensor<std::int64_t, 2> tokens{{1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 5}, {8, 8, 8, 1, 1, 1, 3, 2, 4, 0, 7}};
    const auto whole = model(tokens);
    models::FlashTransformer<float>::Cache cache;
    for (Index i = 0; i < 11; ++i)
        CHECK(test::max_error(model.step(slice(tokens, 1, i, i + 1), cache), slice(whole, 1, i, i + 1)) < 1e-5);
    tokens.mutable_at(1, 7) = 6;
    const auto changed = model(tokens);
    CHECK(test::bitwise_equal(slice(whole, 1, 0, 7), slice(changed, 1, 0, 7)));
    CHECK(test::max_error(slice(whole, 1, 7, 11), slice(changed, 1, 7, 11)) > 1e-4);
    models::FlashTransformer<float> both({.vocabulary = 9, .width = 8, .layers = 1, .query_key_dim = 6});
    models::FlashTransformer<float>::Cache none;
    CHECK_THROWS_AS(both.step(slice(tokens, 1, 0, 1), none), ValueError);
}
