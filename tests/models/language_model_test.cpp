// Language models with each mixer: decoding equals the whole pass, causality, resuming bit for bit.
#include <lamina/io/checkpoint.hpp>
#include <lamina/losses/cross_entropy.hpp>
#include <lamina/models/language_model.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/clip.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <cstring>

using namespace lamina;

namespace {

constexpr Index vocabulary = 11, width = 8;

/// Calls f(make) with a maker of each mixer, as the example configures them.
template <class F>
void for_each_mixer(F&& f) {
    f([] { return nn::SelfAttention<>(width, 2, {.causal = true, .rotary = true}); });
    f([] { return nn::LinearSelfAttention<>(width, 2, {.causal = true}); });
    f([] { return nn::GAU<>(width, {.query_key_dim = 6, .causal = true, .rotary_width = 4}); });
    f([] { return nn::FLASH<>(width, {.group_size = 4, .query_key_dim = 6, .causal = true}); });
}

template <class Make>
auto make_model(const Make& make, Index window) {
    models::LanguageModel<decltype(make())> model(
        {.vocabulary = vocabulary, .width = width, .layers = 2, .window = window}, make);
    random::Rng rng(5);
    nn::reset_parameters(model, rng);
    return model;
}

Tensor<std::int64_t, 2> some_tokens(Index batch, Index n, std::uint64_t seed) {
    random::Rng rng(seed);
    auto tokens = empty<std::int64_t>(Shape{batch, n});
    for (Index i = 0; i < tokens.numel(); ++i) tokens.mutable_data()[i] = rng.integer(0, vocabulary);
    return tokens;
}

template <class Model, class Optimizer>
void train(const Model& model, Optimizer& optimizer, random::Rng& rng, Index steps) {
    for (Index step = 0; step < steps; ++step) {
        const auto tokens = some_tokens(3, 9, std::uint64_t(rng.integer(0, 1000)));
        {
            autograd::Tape tape;
            const auto logits = model(view::slice(tokens, 1, 0, 8));
            tape.backward(losses::cross_entropy(reshape(logits, Shape{24, vocabulary}),
                                                reshape(contiguous(slice(tokens, 1, 1, 9)), Shape{24})));
        }
        optimizer.step(optim::clip_scale(optim::grad_norm(optimizer.parameters()), 1));
    }
}

}  // namespace

TEST_CASE("language model: step by step as at once, for each mixer") {
    for_each_mixer([](const auto& make) {
        for (const Index window : {1, 3}) {
            const auto model = make_model(make, window);
            const auto tokens = some_tokens(2, 13, 1);
            const auto whole = model(tokens);
            CHECK(whole.shape() == Shape{2, 13, vocabulary});
            typename std::decay_t<decltype(model)>::Cache cache;
            // Several tokens at once, as a prompt, then one after the other.
            CHECK(test::max_error(model.step(slice(tokens, 1, 0, 5), cache), slice(whole, 1, 0, 5)) < 1e-5);
            for (Index i = 5; i < 13; ++i)
                CHECK(test::max_error(model.step(slice(tokens, 1, i, i + 1), cache), slice(whole, 1, i, i + 1)) < 1e-5);
        }
    });
}

TEST_CASE("language model: a later token changes nothing before it") {
    for_each_mixer([](const auto& make) {
        const auto model = make_model(make, 3);
        auto tokens = some_tokens(2, 13, 2);
        const auto before = model(tokens);
        for (const Index at : {0, 6, 12}) {
            auto other = tokens.clone();
            other.mutable_at(1, at) = (other(1, at) + 1) % vocabulary;
            const auto after = model(other);
            CHECK(test::bitwise_equal(select(before, 0, 0), select(after, 0, 0)));
            CHECK(test::bitwise_equal(slice(select(before, 0, 1), 0, 0, at), slice(select(after, 0, 1), 0, 0, at)));
            CHECK(test::max_error(slice(select(before, 0, 1), 0, at, 13), slice(select(after, 0, 1), 0, at, 13)) >
                  1e-4);
        }
    });
}

TEST_CASE("language model: a resumed run learns the same bits") {
    const std::string path = "language_model_test.safetensors";
    for_each_mixer([&](const auto& make) {
        auto one = make_model(make, 2);
        optim::AdamW optimizer{nn::parameters(one), {}};
        random::Rng rng(3);
        train(one, optimizer, rng, 2);
        io::save_checkpoint(path, io::part("model", one), io::part("optimizer", optimizer), io::part("rng", rng));
        train(one, optimizer, rng, 2);

        auto two = make_model(make, 2);
        optim::AdamW other{nn::parameters(two), {.learning_rate = 5}};
        random::Rng again(0);
        io::load_checkpoint(path, io::part("model", two), io::part("optimizer", other), io::part("rng", again));
        train(two, other, again, 2);
        const auto expected = nn::state_dict(one), got = nn::state_dict(two);
        for (const auto& entry : expected) {  // Clang 14 lets no lambda capture a structured binding
            const bool same = std::memcmp(entry.tensor.data(), got[entry.name].data(),
                                          std::size_t(entry.tensor.numel()) * sizeof(float)) == 0;
            CHECK_MESSAGE(same, "different bits in " << entry.name);
        }
    });
    std::remove(path.c_str());
}

TEST_CASE("language model: learns what always follows") {
    for_each_mixer([](const auto& make) {
        auto model = make_model(make, 1);
        optim::AdamW optimizer{nn::parameters(model), {.learning_rate = 1e-2}};
        auto tokens = empty<std::int64_t>(Shape{1, 23});
        for (Index i = 0; i < 23; ++i) tokens.mutable_data()[i] = i * i % vocabulary;
        double loss = 0;
        for (Index step = 0; step < 150; ++step) {
            autograd::Tape tape;
            const auto logits = model(contiguous(slice(tokens, 1, 0, 22)));
            const auto mean = losses::cross_entropy(reshape(logits, Shape{22, vocabulary}),
                                                    reshape(contiguous(slice(tokens, 1, 1, 23)), Shape{22}));
            tape.backward(mean);
            optimizer.step();
            loss = mean.item();
        }
        CHECK(loss < 0.3);  // log(11) = 2.4 at first
    });
}

TEST_CASE("language model: errors") {
    const auto make = [] { return nn::SelfAttention<>(width, 2, {.causal = true}); };
    CHECK_THROWS_WITH_AS(make_model(make, 0), "LanguageModel: window must be at least 1 but is 0", ValueError);
    const auto model = make_model(make, 2);
    CHECK_THROWS_AS(model(Tensor<std::int64_t, 2>{{vocabulary}}), ValueError);
    CHECK(model(zeros<std::int64_t>(Shape{0, 4})).numel() == 0);
}
