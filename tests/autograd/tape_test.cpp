#include <lamina/autograd/checkpoint.hpp>
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/autograd/parameter.hpp>
#include <lamina/autograd/saved.hpp>
#include <lamina/core/view.hpp>
#include <lamina/ops/contiguous.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// y = x², the plainest op there is; `slope` other than 2 gives it a wrong gradient.
template <class T, int R>
Tensor<T, R> square_op(const Tensor<T, R>& in, T slope = 2) {
    const auto x = contiguous(in);
    auto y = empty_like(x);
    for (Index i = 0; i < x.numel(); ++i) y.mutable_data()[i] = x.data()[i] * x.data()[i];
    if (auto* tape = autograd::recording(x))
        tape->record("square", y, [x = autograd::saved(x), slope](const T* dy) {
            const auto dx = autograd::grad_target(x);
            if (!dx) return;
            for (Index i = 0; i < x.shape().numel(); ++i)
                dx.data[i] = (dx.accumulate ? dx.data[i] : T(0)) + slope * x.data()[i] * dy[i];
        });
    return y;
}

}  // namespace

TEST_CASE("tape: nothing is recorded without a tape, without a leaf, or under NoGrad") {
    const auto leaf = autograd::leaf(Tensor<double, 1>{3});
    CHECK_FALSE(square_op(leaf).grad_link());
    autograd::Tape tape;
    CHECK_FALSE(square_op(Tensor<double, 1>{3}).grad_link());
    {
        const autograd::NoGrad no_grad;
        CHECK_FALSE(square_op(leaf).grad_link());
        CHECK(autograd::current_tape() == nullptr);
    }
    CHECK(tape.size() == 0);
    CHECK(square_op(leaf).grad_link());
    CHECK(tape.size() == 1);
}

TEST_CASE("tape: gradients of a chain, and of a tensor used twice") {
    const auto x = autograd::leaf(Tensor<double, 1>{3, -2});
    autograd::Tape tape;
    const auto y = square_op(x);
    const auto z = square_op(y);
    tape.backward(z, Tensor<double, 1>{1, 1});
    CHECK(test::max_error(autograd::grad(x), Tensor<double, 1>{4 * 27, 4 * -8}) == 0);
    CHECK_FALSE(autograd::has_grad(y));  // intermediate gradients are let go
}

TEST_CASE("tape: leaves gather over passes until they are cleared") {
    const auto x = autograd::leaf(Tensor<double, 1>{3});
    for (int pass = 1; pass <= 3; ++pass) {
        autograd::Tape tape;
        tape.backward(square_op(x));
        CHECK(autograd::grad(x)(0) == 6 * pass);
    }
    autograd::zero_grad(x);
    CHECK_FALSE(autograd::has_grad(x));
    CHECK(test::message_of<GradError>([&] { autograd::grad(x); }) ==
          "grad: no gradient has gathered for the tensor of shape [1]");
}

TEST_CASE("tape: retain keeps the ops for another pass, otherwise they are consumed") {
    const auto x = autograd::leaf(Tensor<double, 1>{3});
    autograd::Tape tape;
    const auto y = square_op(x);
    tape.backward(y, {.retain = true});
    tape.backward(y, {.retain = true});
    CHECK(autograd::grad(x)(0) == 12);
    tape.backward(y);
    CHECK(autograd::grad(x)(0) == 18);
    CHECK(tape.size() == 0);
    CHECK(test::message_of<GradError>([&] { tape.backward(y); }) ==
          "backward: the tape was consumed by an earlier backward pass");
    CHECK(test::message_of<GradError>([&] { square_op(x); }) ==
          "square: the tape was consumed by backward and records no more");
}

TEST_CASE("tape: each misuse has its sentence") {
    const auto x = autograd::leaf(Tensor<double, 1>{3, 4});
    Tensor<double, 1> stranger;
    {
        autograd::Tape other;
        stranger = square_op(autograd::leaf(Tensor<double, 1>{1}));
    }
    autograd::Tape tape;
    const auto y = square_op(x);
    CHECK(test::message_of<GradError>([&] { tape.backward(y); }) ==
          "backward: loss must have one element but has shape [2]");
    CHECK(test::message_of<ShapeError>([&] { tape.backward(y, Tensor<double, 1>{1}); }) ==
          "backward: gradient must have the shape of the tensor ([2] and [1])");
    CHECK(test::message_of<GradError>([&] { tape.backward(stranger); }) ==
          "backward: this tape did not record the tensor (shape [1])");
    CHECK(test::message_of<GradError>([&] { tape.backward(Tensor<double, 1>{1}); }) ==
          "backward: this tape did not record the tensor (shape [1])");
    CHECK(test::message_of<GradError>([&] { autograd::retain_grad(Tensor<double, 1>{1}); }) ==
          "retain_grad: the tensor must be recorded (shape [1])");
}

TEST_CASE("tape: a saved tensor that changed is an error, not a wrong gradient") {
    auto x = autograd::leaf(Tensor<double, 1>{3});
    autograd::Tape tape;
    const auto y = square_op(x);
    x.mutable_at(0) = 4;
    CHECK(test::message_of<GradError>([&] { tape.backward(y); }) ==
          "backward: a saved tensor of shape [1] was changed in place (version 0 when recorded, now 1)");
}

TEST_CASE("tape: what an earlier tape recorded is a constant for a later one") {
    const auto x = autograd::leaf(Tensor<double, 1>{3});
    Tensor<double, 1> y;
    {
        autograd::Tape first;
        y = square_op(x);
    }
    autograd::Tape second;
    CHECK_FALSE(square_op(y).grad_link());
}

TEST_CASE("tape: tapes nest, the innermost records") {
    const auto x = autograd::leaf(Tensor<double, 1>{3});
    autograd::Tape outer;
    const auto y = square_op(x);
    {
        autograd::Tape inner;
        inner.backward(square_op(x));
        CHECK(outer.size() == 1);
        CHECK(autograd::grad(x)(0) == 6);
    }
    outer.backward(y);
    CHECK(autograd::grad(x)(0) == 12);
}

TEST_CASE("tape: a gradient asked for is kept, and training is the tape's own") {
    const auto x = autograd::leaf(Tensor<double, 1>{3});
    CHECK_FALSE(autograd::training());
    autograd::Tape tape{.training = false};
    CHECK_FALSE(autograd::training());
    {
        autograd::Tape inner;
        CHECK(autograd::training());
    }
    const auto y = square_op(x), z = square_op(y);
    autograd::retain_grad(y);
    tape.backward(z);
    CHECK(autograd::grad(y)(0) == 18);
}

TEST_CASE("tape: a chain of 100,000 ops needs no stack, in backward or in destruction") {
    const auto x = autograd::leaf(Tensor<double, 1>{1});
    {
        autograd::Tape tape;
        auto y = x;
        for (int i = 0; i < 100000; ++i) y = square_op(y, 1.0);
        tape.backward(y);
        CHECK(autograd::grad(x)(0) == 1);
    }
    autograd::Tape abandoned;
    auto y = x;
    for (int i = 0; i < 100000; ++i) y = square_op(y);
}

TEST_CASE("tape: a strided input gathers its gradient dense over its own shape") {
    const auto base = autograd::leaf(view::transpose(Tensor<double, 2>{{1, 2}, {3, 4}, {5, 6}}, 0, 1));
    autograd::Tape tape;
    tape.backward(square_op(base), ones<double>(Shape{2, 3}));
    CHECK(test::max_error(autograd::grad(base), Tensor<double, 2>{{2, 6, 10}, {4, 8, 12}}) == 0);
}

TEST_CASE("gradcheck: accepts right gradients and reports wrong ones") {
    const auto x = view::transpose(test::wave<double>(Shape{3, 4}), 0, 1);
    CHECK(autograd::gradcheck([](const auto& t) { return square_op(t); }, x) < 1e-8);
    CHECK(autograd::gradcheck([](const auto& t) { return square_op(t, 2.001); }, x) > 1e-4);
    CHECK(autograd::gradcheck([](const auto& t) { return square_op(square_op(t)); }, x) < 1e-7);
}

TEST_CASE("checkpoint: the same gradients while the tape keeps one op a segment") {
    const auto x = test::wave<double>(Shape{5});
    const auto segment = [](const auto& t) { return square_op(square_op(t)); };
    const auto whole = [&](const auto& t) { return autograd::checkpoint(segment, square_op(t)); };
    CHECK(autograd::gradcheck(whole, x) < 1e-7);
    const auto leaf = autograd::leaf(x.clone()), plain = autograd::leaf(x.clone());
    {
        autograd::Tape tape;
        const auto y = whole(leaf);
        CHECK(tape.size() == 2);
        tape.backward(y, ones<double>(Shape{5}));
    }
    {
        autograd::Tape tape;
        tape.backward(segment(square_op(plain)), ones<double>(Shape{5}));
    }
    CHECK(test::bitwise_equal(autograd::grad(leaf), autograd::grad(plain)));
}

TEST_CASE("checkpoint: parameters inside get their gradients, random numbers repeat") {
    Parameter<double, 1> p(Tensor<double, 1>{2});
    random::Rng rng(7);
    autograd::Tape tape{.generator = &rng};
    std::vector<double> drawn;
    const auto y = autograd::checkpoint(
        [&](const auto&) {
            drawn.push_back(autograd::current_tape()->rng().template uniform<double>());
            return square_op(p);
        },
        Tensor<double, 1>{1});
    const auto after = rng.stream();
    tape.backward(y);
    CHECK(autograd::grad(p)(0) == 4);
    CHECK(drawn.size() == 2);
    CHECK(drawn[0] == drawn[1]);
    CHECK(rng.stream() == after);
}
