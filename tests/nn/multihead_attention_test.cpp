// MultiheadAttention: golden vectors, masks, extra keys, decoding step by step, errors.
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/nn/multihead_attention.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

template <class M>
void fill_wave(M& module) {
    double phase = 0;
    nn::for_each_tensor(module, [&](const std::string&, auto& x) {
        const auto values = test::wave<float>(x.shape(), phase += 0.37);
        for (Index i = 0; i < x.numel(); ++i) x.mutable_data()[i] = decltype(*x.data() + 0)(0.4 * values.data()[i]);
    });
}

}  // namespace

TEST_CASE("MultiheadAttention: golden vectors") {
    for (const auto& c : test::golden_cases("ops/mha")) {
        const Index e = c.integer("embed_dim", 0);
        nn::MultiheadAttention<float> mha(e, c.integer("heads", 1),
                                          {.bias = c.flag("bias", true),
                                           .add_bias_kv = c.flag("add_bias_kv", false),
                                           .add_zero_attn = c.flag("add_zero_attn", false),
                                           .kdim = c.integer("kdim", e),
                                           .vdim = c.integer("vdim", e),
                                           .batch_first = c.flag("batch_first", false)});
        nn::load_state_dict(mha, c.tensors(), {.strict = false, .prefix = "param."});
        nn::MultiheadMasks<float> masks;
        if (c.has("in.key_padding_mask")) masks.key_padding_mask = c.tensor<bool, 2>("in.key_padding_mask");
        if (c.has("in.attn_mask")) {
            const bool hides = c.any("in.attn_mask").dtype() == DType::boolean, all = c.rank("in.attn_mask") == 2;
            if (hides && all) masks.attn_mask = c.tensor<bool, 2>("in.attn_mask");
            else if (hides) masks.head_mask = c.tensor<bool, 3>("in.attn_mask");
            else if (all) masks.bias = c.tensor<float, 2>("in.attn_mask");
            else masks.head_bias = c.tensor<float, 3>("in.attn_mask");
        }
        auto q = autograd::leaf(c.tensor<float, 3>("in.query")), k = autograd::leaf(c.tensor<float, 3>("in.key")),
             v = autograd::leaf(c.tensor<float, 3>("in.value"));
        test::check_golden(c, "y", mha(q, k, v, masks));
        autograd::Tape tape;
        const auto run = [&](const auto& both) {
            constexpr int R = std::decay_t<decltype(both.weights)>::rank;
            test::check_golden(c, "y", both.output);
            test::check_golden(c, "attn", both.weights);
            tape.backward(sum(both.output * c.tensor<float, 3>("r.y")) +
                          sum(both.weights * c.tensor<float, R>("r.attn")));
        };
        if (c.flag("average_attn_weights", true)) run(mha.with_weights(q, k, v, masks));
        else run(mha.with_head_weights(q, k, v, masks));
        test::check_golden_grad(c, "in.query", autograd::grad(q));
        test::check_golden_grad(c, "in.key", autograd::grad(k));
        test::check_golden_grad(c, "in.value", autograd::grad(v));
        nn::for_each_tensor(mha, [&](const std::string& name, const auto& x) {
            test::check_golden_grad(c, "param." + name, autograd::grad(x));
        });
    }
}

TEST_CASE("MultiheadAttention: one tensor or three copies of it, either layout") {
    nn::MultiheadAttention<double> mha(12, 3, {.batch_first = true}), seq(12, 3);
    fill_wave(mha);
    fill_wave(seq);
    const auto x = test::wave<double>(Shape{2, 7, 12});
    for (bool causal : {false, true}) {
        const auto one = mha(x, {.is_causal = causal});
        CHECK(test::max_error(mha(x, x.clone(), x.clone(), {.is_causal = causal}), one) < 1e-14);
        CHECK(test::max_error(view::transpose(seq(view::transpose(x, 0, 1), {.is_causal = causal}), 0, 1), one) <
              1e-14);
        CHECK(test::max_error(mha.with_weights(x, x, x, {.is_causal = causal}).output, one) < 1e-13);
    }
    CHECK(autograd::gradcheck([&](const auto& t) { return mha(t, {.is_causal = true}); }, x) < 1e-7);
    CHECK(autograd::gradcheck([&](const auto& t) { return seq(t); }, x) < 1e-7);
    auto mask = zeros<bool>(Shape{6, 7, 7});
    for (Index i = 0; i < mask.numel(); ++i) mask.mutable_data()[i] = (i / 49) % 3 == 0 && i % 7 > (i / 7) % 7;
    const auto y = mha(x, {.head_mask = mask}), w = mha.with_weights(x, x, x, {.head_mask = mask}).output;
    CHECK(test::max_error(y, w) < 1e-13);
}

TEST_CASE("MultiheadAttention: extra keys, rows that see nothing") {
    nn::MultiheadAttention<double> mha(8, 2, {.add_bias_kv = true, .add_zero_attn = true, .batch_first = true});
    fill_wave(mha);
    const auto x = test::wave<double>(Shape{2, 5, 8}), memory = test::wave<double>(Shape{2, 4, 8}, 2);
    auto ignore = zeros<bool>(Shape{2, 4});
    ignore.fill(true);
    const auto y = mha(x, memory, memory, {.key_padding_mask = ignore});
    // Only the extra keys are left: a value of bias_v and one of zeros.
    const auto w = mha.with_weights(x, memory, memory, {.key_padding_mask = ignore}).weights;
    CHECK(w.shape() == Shape{2, 5, 6});
    for (Index j = 0; j < 4; ++j) CHECK(w(1, 3, j) == 0);
    CHECK(std::abs(w(1, 3, 4) + w(1, 3, 5) - 1) < 1e-12);
    CHECK(autograd::gradcheck([&](const auto& t) { return mha(x, t, t); }, memory) < 1e-7);
    nn::MultiheadAttention<float> plain(8, 2, {.bias = false, .batch_first = true});
    fill_wave(plain);
    const auto x32 = test::wave<float>(Shape{2, 4, 8});
    const auto nothing = plain(x32, {.key_padding_mask = ignore});
    CHECK(test::max_error(nothing, zeros_like(nothing)) == 0);
}

TEST_CASE("MultiheadAttention: extra keys are seen by causal queries too, step by step as well") {
    for (bool learned : {false, true}) {
        nn::MultiheadAttention<double> mha(6, 2, {.add_bias_kv = learned, .add_zero_attn = true, .batch_first = true});
        fill_wave(mha);
        const auto x = test::wave<double>(Shape{2, 5, 6});
        auto later = zeros<bool>(Shape{5, 5});
        for (Index i = 0; i < 5; ++i)
            for (Index j = i + 1; j < 5; ++j) later.mutable_at(i, j) = true;
        const auto by_mask = mha(x, {.attn_mask = later});
        CHECK(test::max_error(mha(x, {.is_causal = true}), by_mask) < 1e-14);
        const auto both = mha.with_head_weights(x, x, x, {.is_causal = true});
        CHECK(test::max_error(both.output, by_mask) < 1e-14);
        const Index extra = learned ? 2 : 1;
        CHECK(both.weights.shape() == Shape{2, 2, 5, 5 + extra});
        double total = 0;
        for (Index j = 0; j < 5 + extra; ++j) total += both.weights(1, 1, 0, j);
        CHECK(std::abs(total - 1) < 1e-12);
        CHECK(both.weights(1, 1, 0, 1) == 0);
        CHECK(both.weights(1, 1, 0, 5) > 0);
        nn::KeyValueCache<double> cache;
        for (Index i = 0; i < 5; ++i)
            CHECK(test::max_error(mha.step(view::slice(x, 1, i, i + 1), cache), view::slice(by_mask, 1, i, i + 1)) <
                  1e-13);
    }
}

TEST_CASE("MultiheadAttention: a bias for each head, and with one for all") {
    nn::MultiheadAttention<double> mha(6, 2, {.add_zero_attn = true});
    fill_wave(mha);
    const auto x = test::wave<double>(Shape{4, 3, 6});
    const auto all = test::wave<double>(Shape{4, 4}, 1);
    const auto each = test::wave<double>(Shape{6, 4, 4}, 2);
    // Hidden keys have a bias of -inf.
    auto hidden = zeros<bool>(Shape{6, 4, 4});
    auto infinite = zeros<double>(Shape{6, 4, 4});
    for (Index i = 0; i < 96; i += 5) {
        hidden.mutable_data()[i] = true;
        infinite.mutable_data()[i] = -std::numeric_limits<double>::infinity();
    }
    CHECK(test::max_error(mha(x, {.head_bias = infinite}), mha(x, {.head_mask = hidden})) < 1e-14);
    const auto sum = each + all;
    CHECK(test::max_error(mha(x, {.bias = all, .head_bias = each}), mha(x, {.head_bias = sum})) < 1e-14);
    CHECK(autograd::gradcheck([&](const auto& b) { return mha(x, {.head_bias = b}); }, each) < 1e-7);
    CHECK(test::message_of<ShapeError>([&] {
              mha(x, {.head_bias = zeros<double>(Shape{3, 4, 4})});
          }) == "MultiheadAttention: head_bias must be [6, 4, 4] but is [3, 4, 4]");
}

TEST_CASE("MultiheadAttention: steps with a cache equal the full causal pass; reorder and growth") {
    nn::MultiheadAttention<float> mha(16, 4, {.batch_first = true});
    fill_wave(mha);
    const auto x = test::wave<float>(Shape{3, 90, 16});
    const auto whole = mha(x, {.is_causal = true});
    nn::KeyValueCache<float> cache;
    Index at = 0;
    for (Index n : {1, 1, 5, 40, 1, 42}) {  // past the first capacity of 64
        const auto y = mha.step(view::slice(x, 1, at, at + n), cache);
        CHECK(test::max_error(y, view::slice(whole, 1, at, at + n)) < 2e-6);
        at += n;
    }
    CHECK(cache.size() == 90);
    CHECK(cache.capacity() == 128);
    const auto before = cache.keys().clone();
    cache.reorder(Tensor<std::int64_t, 1>{2, 0, 0, 1});
    CHECK(cache.keys().shape() == Shape{4, 4, 90, 4});
    CHECK(test::bitwise_equal(view::select(cache.keys(), 0, 0), view::select(before, 0, 2)));
    CHECK(test::bitwise_equal(view::select(cache.keys(), 0, 2), view::select(before, 0, 0)));
    cache.truncate(10);
    CHECK(cache.size() == 10);
    CHECK(test::message_of<ValueError>([&] { cache.truncate(-1); }) ==
          "KeyValueCache: the number of tokens must not be negative but is -1");
    CHECK(test::message_of<ValueError>([&] { cache.reorder(Tensor<std::int64_t, 1>{4}); }) ==
          "KeyValueCache: order must lie in [0, 3] but is 4");
    CHECK(test::message_of<ShapeError>([&] {
              cache.append(zeros<float>(Shape{1, 1, 16}), zeros<float>(Shape{1, 1, 16}), 4);
          }) == "KeyValueCache: batch, heads and width must be those held ([4, 4, 128, 4]) but are 1, 4, 4");
    CHECK(test::message_of<ShapeError>([&] {
              cache.append(zeros<float>(Shape{4, 1, 16}), zeros<float>(Shape{4, 1, 16}), 0);
          }) == "KeyValueCache: batch, rows and heads must fit (keys [4, 1, 16], values [4, 1, 16], 0 heads)");
    const auto memory = test::wave<float>(Shape{3, 11, 16}, 3);
    CHECK(test::max_error(mha.recall(x, mha.remember(memory, memory)), mha(x, memory, memory)) < 2e-6);
}

TEST_CASE("MultiheadAttention: initial values and errors") {
    nn::MultiheadAttention<float> mha(32, 4);
    random::Rng rng(1);
    nn::reset_parameters(mha, rng);
    float largest = 0;
    for (float x : mha.in_proj_weight->span()) largest = std::max(largest, std::abs(x));
    const float bound = std::sqrt(6.0f / (96 + 32));
    CHECK(largest <= bound);
    CHECK(largest > 0.95f * bound);
    CHECK((*mha.in_proj_bias)(3) == 0);
    CHECK(test::message_of<ValueError>([] { nn::MultiheadAttention<float>(10, 4); }) ==
          "MultiheadAttention: the number of heads must divide the width (4 and 10)");
    const auto x = zeros<float>(Shape{5, 2, 32});
    CHECK(test::message_of<ShapeError>([&] {
              mha(x, {.key_padding_mask = zeros<bool>(Shape{5, 2})});
          }) == "MultiheadAttention: key_padding_mask must be [2, 5] but is [5, 2]");
}
