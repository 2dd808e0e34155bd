// FLASH-quad's unit: golden vectors, gradients, both biases, causality, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/models/flash_quad.hpp>
#include <lamina/ops/comparison.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

template <class Norm>
void check_case(const test::GoldenCase& c) {
    models::FlashQuadUnit<float, Norm> unit(c.integer("hidden_size", 0),
                                            {.query_key_dim = c.integer("s", 0),
                                             .expansion = c.number("expansion_factor", 2),
                                             .longest = c.integer("max_position_embeddings", 512),
                                             .causal = c.flag("causal", false)});
    const auto loaded = nn::load_state_dict(unit, c.tensors(), {.strict = false, .prefix = "param."});
    CHECK(loaded.missing.empty());
    const auto x = autograd::leaf(c.tensor<float, 3>("in.x"));
    OptionalTensor<bool, 2> keep;
    if (c.has("in.mask")) keep = ne(c.tensor<float, 2>("in.mask"), 0);
    test::check_golden(c, "y", unit(x, keep));
    autograd::Tape tape;
    const auto y = unit(x, keep);
    test::check_golden(c, "y", y);
    tape.backward(y, c.tensor<float, 3>("r.y"));
    test::check_golden_grad(c, "in.x", autograd::grad(x));
    nn::for_each_tensor(unit, [&](const std::string& name, const auto& p) {
        if (name != "a" && name != "b") test::check_golden_grad(c, "param." + name, autograd::grad(p));
    });
}

}  // namespace

TEST_CASE("FLASH-quad: golden vectors") {
    for (const auto& c : test::golden_cases("gau/flashquad_GAU")) {
        if (c.meta("norm_type") == "scale_norm") check_case<models::RmsScale<float>>(c);
        else check_case<nn::LayerNorm<float>>(c);
    }
}

TEST_CASE("FLASH-quad: gradients with either bias; a later token changes nothing before it") {
    for (const Index longest : {9, 600}) {
        models::FlashQuadUnit<double> unit(6, {.query_key_dim = 4, .longest = longest, .causal = true});
        random::Rng rng(2);
        nn::reset_parameters(unit, rng);
        for (auto* table : {&unit.weight, &unit.a, &unit.b}) normal_(*table, rng);
        normal_(unit.w, rng);
        auto x = test::wave<double>(Shape{2, 7, 6});
        CHECK(autograd::gradcheck([&](const auto& t) { return unit(t); }, x) < 1e-6);
        CHECK(autograd::gradcheck([&](const auto&) { return unit(x); }, longest > 512 ? unit.a : unit.weight) < 1e-6);
        const auto before = unit(x);
        x.mutable_at(1, 4, 3) += 0.5;
        const auto after = unit(x);
        CHECK(test::bitwise_equal(slice(before, 1, 0, 4), slice(after, 1, 0, 4)));
        CHECK(test::max_error(slice(before, 1, 4, 7), slice(after, 1, 4, 7)) > 1e-6);
    }
}

TEST_CASE("FLASH-quad: errors") {
    const models::FlashQuadUnit<float> unit(4, {.query_key_dim = 2, .longest = 3});
    CHECK_THROWS_WITH_AS(unit(zeros<float>(Shape{1, 4, 4})),
                         "FlashQuadUnit: the sequence must have at most 3 tokens but has 4", ValueError);
}
