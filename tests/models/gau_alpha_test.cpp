// GAU-alpha: golden vectors of the unit and of a whole model, initialisation, errors.
#include <lamina/models/gau_alpha.hpp>
#include <tests/support/golden_module.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

models::GauAlphaConfig config_of(const test::GoldenCase& c) {
    const std::string function = c.meta("normalization", "softmax_plus");
    return {.vocabulary = c.integer("vocab_size", 12000),
            .width = c.integer("hidden_size", 768),
            .hidden = c.integer("intermediate_size", 1536),
            .query_key_dim = c.integer("attention_key_size", 128),
            .layers = c.integer("num_hidden_layers", 24),
            .function = function == "softmax"        ? nn::GauFunction::softmax
                        : function == "squared_relu" ? nn::GauFunction::relu2
                                                     : nn::GauFunction::softmax_plus,
            .bias = c.flag("use_bias", false),
            .attention_dropout = 0,
            .dropout = 0};
}

}  // namespace

TEST_CASE("GAU-alpha: golden vectors of the unit") {
    for (const auto& c : test::golden_cases("gau/alpha_unit")) {
        models::GauAlphaUnit<float> unit(config_of(c));
        nn::load_state_dict(unit, c.tensors(), {.strict = false, .prefix = "param."});
        const auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
        OptionalTensor<bool, 2> keep;
        if (c.has("in.mask")) keep = squeeze(ne(c.tensor<float, 3>("in.mask"), 0), 1);
        test::check_golden(c, "y", unit(x, keep));
        autograd::Tape tape;
        const auto y = unit(x, keep), weights = unit.weights(x, keep);
        test::check_golden(c, "y", y);
        test::check_golden(c, "attn", weights);
        tape.backward(sum(y * c.tensor<float, 3>("r.y")) + sum(weights * c.tensor<float, 3>("r.attn")));
        test::check_golden_grad(c, "in.x", autograd::grad(x));
        test::check_golden_parameters(c, unit);
    }
}

TEST_CASE("GAU-alpha: golden vectors of a model") {
    for (const auto& c : test::golden_cases("gau/alpha_model")) {
        models::GauAlpha<float> model(config_of(c));
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

TEST_CASE("GAU-alpha: initialisation; padding changes nothing; dropout while training only") {
    models::GauAlpha<float> model({.vocabulary = 50, .width = 64, .hidden = 96, .query_key_dim = 16, .layers = 8});
    random::Rng rng(4);
    model.initialize(rng);
    double square = 0, largest = 0;
    const auto& weight = model.layer[3].gau.i_dense.weight;
    for (Index i = 0; i < weight.numel(); ++i) {
        square += double(weight.data()[i]) * double(weight.data()[i]);
        largest = std::max(largest, std::abs(double(weight.data()[i])));
    }
    const double deviation = 1.0 / 8 / 2;  // sqrt(64), cbrt(8)
    CHECK(std::sqrt(square / double(weight.numel())) == doctest::Approx(deviation).epsilon(0.02));
    CHECK(largest < 2 * 1.1369 * deviation);
    CHECK(model.word_embeddings.weight(0, 5) == 0);
    CHECK(nn::count_parameters(model) == 52 * 64 + 8 * (64 * (2 * 96 + 16) + 2 * 16 + 96 * 64));

    const Tensor<std::int64_t, 2> one{{7, 3, 9}}, two{{7, 3, 9, 0, 0}};
    const auto plain = model(one);
    CHECK(test::max_error(plain, slice(model(two), 1, 0, 3)) < 1e-5);
    for (Index i = 0; i < 3; ++i) {
        double mean = 0;
        for (Index d = 0; d < 64; ++d) mean += double(plain(0, i, d)) * double(plain(0, i, d)) / 64;
        CHECK(mean == doctest::Approx(1).epsilon(1e-4));  // norms stand behind the sums
    }
    autograd::Tape tape;
    CHECK(test::max_error(plain, model(one)) > 1e-3);
}

TEST_CASE("GAU-alpha: errors") {
    CHECK_THROWS_WITH_AS(models::GauAlphaUnit<float>({.function = nn::GauFunction::laplace}),
                         "GauAlphaUnit: the function must be softmax_plus, softmax or relu2", ValueError);
}
