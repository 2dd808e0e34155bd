#include <lamina/core/shape.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("shape: extents, product and text") {
    constexpr Shape shape{2, 3, 4};
    static_assert(shape.rank() == 3 && shape.numel() == 24 && shape.product(1, 3) == 12);
    CHECK(message(shape) == "[2, 3, 4]");
    CHECK(message(Shape<0>{}) == "[]");
    CHECK(Shape<0>{}.numel() == 1);
    CHECK(contiguous_strides(Shape{2, 3, 4}) == Strides<3>{12, 4, 1});
    CHECK(contiguous_strides(Shape{2, 0, 4}) == Strides<3>{4, 4, 1});
}

TEST_CASE("shape: bad extents are refused with the whole shape") {
    const Index huge = Index(1) << 40;
    const auto count = [](auto shape, std::size_t size) { return checked_numel(shape.begin(), shape.rank(), size); };
    CHECK(count(Shape{2, 3}, 4) == 6);
    CHECK(count(Shape{0, huge}, 4) == 0);
    CHECK(test::message_of<ShapeError>([&] {
              count(Shape{2, -1}, 4);
          }) == "shape: extents must not be negative ([2, -1])");
    CHECK(test::message_of<ShapeError>([&] {
              count(Shape{huge, huge}, 4);
          }) == "shape: [1099511627776, 1099511627776] of 4-byte elements overflows 2^63-1 bytes");
    // Another extent of 0 does not hide the overflow, and 2^61 - 1 doubles are too many bytes though not too many.
    CHECK_THROWS_AS(count(Shape{huge, 0, huge}, 4), ShapeError);
    CHECK_THROWS_AS(count(Shape{(Index(1) << 61) - 1}, 8), ShapeError);
    CHECK(count(Shape{(Index(1) << 60) - 1}, 8) == (Index(1) << 60) - 1);
}

TEST_CASE("shape: dimensions count from both ends") {
    CHECK(normalize_dim("op", -1, 3) == 2);
    CHECK(normalize_dim("op", 2, 3) == 2);
    CHECK(normalize_dim("op", 0, 0) == 0);
    CHECK(normalize_dim("op", -1, 0) == 0);
    CHECK(test::message_of<ValueError>([] { normalize_dim("op", 3, 3); }) == "op: dim must lie in [-3, 2] but is 3");
    CHECK(test::message_of<ValueError>([] { normalize_dim("op", -4, 3); }) == "op: dim must lie in [-3, 2] but is -4");
}

TEST_CASE("shape: broadcasting aligns at the right and stretches ones, also to 0") {
    CHECK(broadcast_shape("op", Shape{3, 1}, Shape{1, 4}) == Shape{3, 4});
    CHECK(broadcast_shape("op", Shape{2, 3, 4}, Shape{4}) == Shape{2, 3, 4});
    CHECK(broadcast_shape("op", Shape<0>{}, Shape{2, 3}) == Shape{2, 3});
    CHECK(broadcast_shape("op", Shape{3, 1}, Shape{1, 0}) == Shape{3, 0});
    CHECK(test::message_of<ShapeError>([] {
              broadcast_shape("add", Shape{2, 3}, Shape{4});
          }) == "add: shapes must broadcast but dimension 1 is 3 and 4 ([2, 3] and [4])");
}
