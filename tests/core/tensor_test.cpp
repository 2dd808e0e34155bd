#include <lamina/core/any_tensor.hpp>
#include <lamina/core/create.hpp>
#include <lamina/core/print.hpp>
#include <lamina/core/view.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <sstream>

using namespace lamina;

TEST_CASE("tensor: nested lists, spans and memory give the elements in row-major order") {
    const Tensor<float, 2> a{{1, 2, 3}, {4, 5, 6}};
    CHECK(a.shape() == Shape{2, 3});
    CHECK(a(1, 0) == 4);
    CHECK(a(-1, -1) == 6);
    const float values[] = {1, 2, 3, 4, 5, 6};
    CHECK(test::bitwise_equal(a, from_span<float>(Shape{2, 3}, values)));
    double memory[] = {1, 2, 3, 4};
    auto borrowed = borrow(Shape{2, 2}, memory);
    borrowed.mutable_at(0, 1) = 9;
    CHECK(memory[1] == 9);
    const auto columns = borrow(Shape{2, 2}, memory, Strides<2>{1, 2});
    CHECK(columns(0, 1) == 3);
    CHECK(Tensor<std::int64_t, 3>{{{1}, {2}}, {{3}, {4}}}.shape() == Shape{2, 2, 1});
    CHECK(Tensor<bool, 1>{true, false}(1) == false);
    CHECK(scalar(2.5).item() == 2.5);
    CHECK(test::message_of<ShapeError>([] {
              Tensor<float, 2>{{1, 2}, {3}};
          }) == "tensor: rows of a nested list must have equal lengths (2 and 1 in dimension 1)");
    CHECK(test::message_of<ShapeError>([&] { from_span<float>(Shape{4}, values); }) ==
          "from_span: shape [4] needs 4 values but there are 6");
}

TEST_CASE("tensor: copies share, clones do not, and writes are counted") {
    Tensor<float, 1> a{1, 2, 3};
    Tensor<float, 1> shared = a, copy = a.clone();
    const auto before = a.storage()->version();
    shared.mutable_at(0) = 7;
    CHECK(a(0) == 7);
    CHECK(copy(0) == 1);
    CHECK(a.storage()->version() == before + 1);
    CHECK(reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0);
}

TEST_CASE("tensor: a default-constructed tensor is empty and harmless") {
    const Tensor<float, 0> none;
    const Tensor<float, 2> empty_matrix;
    CHECK_FALSE(none.defined());
    CHECK(none.numel() == 0);
    CHECK(empty_matrix.numel() == 0);
    CHECK(test::message_of<ShapeError>([&] { none.item(); }) == "item: tensor must have one element but has shape []");
    CHECK_THROWS_AS(none(), ValueError);
}

TEST_CASE("tensor: access outside is an error that names index and shape") {
    Tensor<float, 2> a(Shape{2, 3});
    CHECK(test::message_of<ValueError>([&] { a(0, 3); }) ==
          "index: 3 is outside dimension 1 of extent 3 (shape [2, 3])");
    CHECK(test::message_of<ValueError>([&] { a.mutable_at(-3, 0); }) ==
          "index: -3 is outside dimension 0 of extent 2 (shape [2, 3])");
    CHECK(test::message_of<ValueError>([&] { a.dim(2); }) == "dim: dim must lie in [-2, 1] but is 2");
    CHECK(test::message_of<ShapeError>([&] { a.item(); }) == "item: tensor must have one element but has shape [2, 3]");
    CHECK(test::message_of<ShapeError>([&] { view::transpose(a, 0, 1).span(); }) ==
          "span: tensor of [3, 2] must be contiguous");
    CHECK(test::message_of<ShapeError>([&] {
              a.assign(Tensor<float, 2>(Shape{3, 2}));
          }) == "assign: shapes must be equal ([2, 3] and [3, 2])");
    CHECK_THROWS_AS(zeros<float>(Shape{-1, 2}), ShapeError);
}

TEST_CASE("tensor: elements that share memory cannot be written") {
    auto row = view::expand(Tensor<float, 1>{1, 2}, Shape{3, 2});
    CHECK(row(2, 1) == 2);
    CHECK(test::message_of<ValueError>([&] { row.mutable_data(); }) ==
          "tensor: a tensor whose elements share memory cannot be written ([3, 2], stride 0 in dimension 0)");
    auto single = view::expand(Tensor<float, 1>{1, 2}, Shape{1, 2});
    single.mutable_at(0, 0) = 5;
    CHECK(single(0, 0) == 5);
}

TEST_CASE("tensor: assign copes with strides and with overlap") {
    auto a = arange<float>(6);
    auto matrix = view::reshape(a, Shape{2, 3});
    auto turned = view::transpose(view::reshape(arange<float>(6), Shape{3, 2}), 0, 1);
    matrix.assign(turned);
    CHECK(matrix(0, 2) == 4);
    CHECK(matrix(1, 0) == 1);
    auto line = arange<float>(5);
    view::slice(line, 0, 1, 5).assign(view::slice(line, 0, 0, 4));
    CHECK(test::bitwise_equal(line, Tensor<float, 1>{0, 0, 1, 2, 3}));
    auto steps = arange<float>(6);
    view::slice(steps, 0, 2, 6, 2).assign(view::slice(steps, 0, 0, 4, 2));
    CHECK(test::bitwise_equal(steps, Tensor<float, 1>{0, 1, 0, 3, 2, 5}));
    auto filled = zeros<float>(Shape{2, 3});
    view::select(filled, 1, 1).fill(4);
    CHECK(test::bitwise_equal(filled, Tensor<float, 2>{{0, 4, 0}, {0, 4, 0}}));
}

TEST_CASE("create: ranges and constants") {
    CHECK(test::bitwise_equal(arange<std::int64_t>(2, 9, 3), Tensor<std::int64_t, 1>{2, 5, 8}));
    CHECK(test::bitwise_equal(arange<std::int64_t>(5, 0, -2), Tensor<std::int64_t, 1>{5, 3, 1}));
    CHECK(arange<float>(0, 1, 0.3f).numel() == 4);
    CHECK(arange<float>(0).numel() == 0);
    CHECK(test::message_of<ValueError>([] { arange<float>(0, 1, 0); }) == "arange: step 0 must lead from 0 to 1");
    CHECK(test::message_of<ValueError>([] { arange<float>(0, 1, -1); }) == "arange: step -1 must lead from 0 to 1");
    const auto line = linspace<double>(-1, 1, 5);
    CHECK(test::max_error(line, Tensor<double, 1>{-1, -0.5, 0, 0.5, 1}) == 0);
    CHECK(linspace<double>(3, 9, 1)(0) == 3);
    CHECK(linspace<double>(3, 9, 0).numel() == 0);
    CHECK(test::message_of<ValueError>([] { linspace<double>(0, 1, -1); }) ==
          "linspace: steps must not be negative but is -1");
    CHECK(test::bitwise_equal(eye<float>(2, 3), Tensor<float, 2>{{1, 0, 0}, {0, 1, 0}}));
    CHECK(full<float>(Shape{2}, 3)(1) == 3);
    CHECK(ones<double>(Shape<0>{}).item() == 1);
    CHECK(zeros<float>(Shape{0, 3}).numel() == 0);
}

TEST_CASE("view: geometry of every view against index arithmetic") {
    const auto x = view::reshape(arange<float>(24), Shape{2, 3, 4});
    const auto at = [](Index i, Index j, Index k) { return float(i * 12 + j * 4 + k); };
    const auto p = view::permute(x, {2, 0, -2});
    CHECK(p.shape() == Shape{4, 2, 3});
    CHECK(p(3, 1, 2) == at(1, 2, 3));
    CHECK(view::transpose(x, 0, -1)(1, 2, 1) == at(1, 2, 1));
    const auto s = view::slice(x, 2, -3, 100, 2);
    CHECK(s.shape() == Shape{2, 3, 2});
    CHECK(s(1, 1, 1) == at(1, 1, 3));
    CHECK(view::slice(x, 0, 5, 2).shape() == Shape{0, 3, 4});
    CHECK(view::select(x, 1, -1)(1, 3) == at(1, 2, 3));
    CHECK(view::unsqueeze(x, 1).shape() == Shape{2, 1, 3, 4});
    CHECK(view::unsqueeze(x, -1).shape() == Shape{2, 3, 4, 1});
    CHECK(view::squeeze(view::unsqueeze(x, 0), 0)(1, 0, 2) == at(1, 0, 2));
    CHECK(view::reshape(x, Shape{-1, 6})(3, 5) == 23);
    CHECK(x.is_contiguous());
    CHECK_FALSE(p.is_contiguous());
    CHECK(view::permute(x, {0, 1, 2}).is_contiguous());
    CHECK(zeros<float>(Shape{0, 3}).is_contiguous());
}

TEST_CASE("view: each error sentence") {
    const auto x = zeros<float>(Shape{2, 3});
    CHECK(test::message_of<ValueError>([&] {
              view::permute(x, {0, 0});
          }) == "permute: each dimension must occur once but 0 occurs twice (shape [2, 3])");
    CHECK(test::message_of<ValueError>([&] { view::slice(x, 0, 0, 1, 0); }) ==
          "slice: step must be at least 1 but is 0");
    CHECK(test::message_of<ValueError>([&] { view::select(x, 1, 3); }) ==
          "select: index 3 is outside dimension 1 (shape [2, 3])");
    CHECK(test::message_of<ShapeError>([&] { view::squeeze(x, 0); }) ==
          "squeeze: dimension 0 must have extent 1 (shape [2, 3])");
    CHECK(test::message_of<ShapeError>([&] {
              view::expand(x, Shape{2, 4});
          }) == "expand: extents must be equal or 1 ([2, 3] to [2, 4])");
    CHECK(test::message_of<ShapeError>([&] {
              view::reshape(x, Shape{4, -1});
          }) == "view: 6 elements do not fill [4, -1]");
    CHECK(test::message_of<ShapeError>([&] {
              view::reshape(x, Shape{-1, -1});
          }) == "view: only one extent can be -1 ([-1, -1])");
    CHECK(test::message_of<ShapeError>([&] {
              view::reshape(x, Shape{-2, 3});
          }) == "view: extents must not be negative but for one -1 ([-2, 3])");
    CHECK(test::message_of<ShapeError>([&] { view::reshape(view::transpose(x, 0, 1), Shape{6}); }) ==
          "view: the tensor must be contiguous (shape [3, 2])");
    // -1 beside an extent of 0 is ambiguous unless the rest leaves one answer.
    CHECK_THROWS_AS(view::reshape(zeros<float>(Shape{0, 3}), Shape{-1, 0}), ShapeError);
    CHECK(view::reshape(zeros<float>(Shape{0, 3}), Shape{-1, 3}).shape() == Shape{0, 3});
}

TEST_CASE("any_tensor: keeps type and shape, and refuses to be read as another") {
    Tensor<float, 2> a{{1, 2}, {3, 4}};
    AnyTensor any(a);
    CHECK(any.dtype() == DType::f32);
    CHECK(any.shape() == std::vector<Index>{2, 2});
    any.as<float, 2>().mutable_at(0, 0) = 8;
    CHECK(a(0, 0) == 8);
    CHECK(test::message_of<ValueError>([&] { any.as<double, 2>(); }) == "as: tensor [2, 2] holds float32, not float64");
    CHECK(test::message_of<ShapeError>([&] { any.as<float, 3>(); }) == "as: tensor of shape [2, 2] has rank 2, not 3");
    auto wide = AnyTensor::zeros(DType::f64, {2, 2});
    wide.assign(any);
    CHECK(wide.as<double, 2>()(1, 1) == 4);
    CHECK(test::message_of<ShapeError>([&] { wide.assign(AnyTensor::zeros(DType::f64, {4})); }) ==
          "assign: shapes must be equal ([2, 2] and [4])");
    CHECK(test::message_of<ValueError>([&] {
              wide.assign(AnyTensor::zeros(DType::i64, {2, 2}));
          }) == "assign: int64 elements cannot become float64");
    StateDict state;
    state.insert("a", any);
    CHECK(state.find("b") == nullptr);
    CHECK(test::message_of<ValueError>([&] { state.insert("a", any); }) == "state dict: the name a must be unique");
    CHECK(test::message_of<ValueError>([&] { state["b"]; }) ==
          "state dict: there must be a tensor b among the 1 given");
}

TEST_CASE("tensor: an optional argument takes a tensor, an optional or nothing") {
    const auto has = [](const OptionalTensor<float, 1>& x) { return bool(x); };
    CHECK_FALSE(has({}));
    CHECK(has(Tensor<float, 1>{1}));
    CHECK_FALSE(has(std::optional<Tensor<float, 1>>{}));
    CHECK(has(std::optional<Tensor<float, 1>>{Tensor<float, 1>{1}}));
}

TEST_CASE("print: shape, type and elements, long tensors cut") {
    CHECK(to_string(Tensor<float, 2>{{1, 2.5f}, {-3, 4}}) ==
          "tensor([[1, 2.5],\n        [-3, 4]], shape [2, 2], float32)");
    CHECK(to_string(scalar(std::int32_t(7))) == "tensor(7, shape [], int32)");
    CHECK(to_string(Tensor<bool, 1>{true, false}) == "tensor([true, false], shape [2], bool)");
    CHECK(to_string(zeros<std::uint8_t>(Shape{2000})) == "tensor([0, 0, 0, …, 0, 0, 0], shape [2000], uint8)");
    CHECK(to_string(zeros<float>(Shape{0})) == "tensor([], shape [0], float32)");
    CHECK(to_string(Tensor<float, 1>()) == "tensor(undefined)");
    std::ostringstream stream;
    stream << view::transpose(Tensor<float, 2>{{1, 2}}, 0, 1);
    CHECK(stream.str() == "tensor([[1],\n        [2]], shape [2, 1], float32)");
}
