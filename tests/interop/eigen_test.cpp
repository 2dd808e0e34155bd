#include <lamina/interop/eigen.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE_TEMPLATE("eigen: a map shares the tensor's elements in its order", T, float, double, std::int64_t,
                   std::int32_t, std::uint8_t) {
    const auto x = test::wave<T>(Shape{3, 5});
    const auto map = interop::as_eigen(x);
    CHECK(map.data() == x.data());
    CHECK(map.rows() == 3);
    CHECK(map.cols() == 5);
    for (Index i = 0; i < 3; ++i)
        for (Index j = 0; j < 5; ++j) CHECK(map(i, j) == x(i, j));
    const auto v = test::wave<T>(Shape{7});
    const auto vector = interop::as_eigen(v);
    CHECK(vector.size() == 7);
    CHECK(vector.data() == v.data());
    CHECK(vector(6) == v(6));
    CHECK(interop::as_eigen(zeros<T>(Shape{0, 4})).size() == 0);
}

TEST_CASE("eigen: writing through a map changes the tensor and its version") {
    auto x = zeros<float>(Shape{2, 3});
    const auto version = x.storage()->version();
    interop::as_eigen_mutable(x).setConstant(2.5f);
    CHECK(test::bitwise_equal(x, full<float>(Shape{2, 3}, 2.5f)));
    CHECK(x.storage()->version() > version);
    auto v = zeros<double>(Shape{3});
    interop::as_eigen_mutable(v) << 1, 2, 3;
    CHECK(test::bitwise_equal(v, Tensor<double, 1>{1, 2, 3}));
}

TEST_CASE("eigen: a product through maps equals the triple loop") {
    const auto a = test::wave<double>(Shape{4, 6}), b = test::wave<double>(Shape{6, 5}, 1);
    const auto product = interop::from_eigen(interop::as_eigen(a) * interop::as_eigen(b));
    auto expected = zeros<double>(Shape{4, 5});
    for (Index i = 0; i < 4; ++i)
        for (Index j = 0; j < 5; ++j)
            for (Index k = 0; k < 6; ++k) expected.mutable_at(i, j) += a(i, k) * b(k, j);
    CHECK(test::max_error(product, expected) < 1e-14);
}

TEST_CASE("eigen: strided tensors are mapped with their strides and refused as contiguous ones") {
    const auto x = test::wave<float>(Shape{4, 6});
    const Tensor<float, 2> turned(x.storage(), const_cast<float*>(x.data()), Shape{6, 4}, {1, 6});
    const auto map = interop::as_eigen_strided(turned);
    for (Index i = 0; i < 6; ++i)
        for (Index j = 0; j < 4; ++j) CHECK(map(i, j) == x(j, i));
    const Tensor<float, 1> column(x.storage(), const_cast<float*>(x.data()) + 2, Shape{4}, {6});
    const auto vector = interop::as_eigen_strided(column);
    for (Index i = 0; i < 4; ++i) CHECK(vector(i) == x(i, 2));
    const Tensor<float, 2> stretched(x.storage(), const_cast<float*>(x.data()), Shape{3, 6}, {0, 1});
    CHECK(interop::as_eigen_strided(stretched)(2, 5) == x(0, 5));
    const Tensor<float, 1> backwards(x.storage(), const_cast<float*>(x.data()) + 5, Shape{6}, {-1});
    CHECK(test::message_of<ShapeError>([&] { interop::as_eigen(turned); }) ==
          "as_eigen: tensor of [6, 4] must be contiguous");
    CHECK(test::message_of<ShapeError>([&] { interop::as_eigen(column); }) ==
          "as_eigen: tensor of [4] must be contiguous");
    CHECK(test::message_of<ShapeError>([&] {
              auto writable = turned;
              interop::as_eigen_mutable(writable);
          }) == "as_eigen_mutable: tensor of [6, 4] must be contiguous");
    CHECK(test::message_of<ShapeError>([&] { interop::as_eigen_strided(backwards); }) ==
          "as_eigen_strided: strides must not be negative but are [-1]");
}

TEST_CASE("eigen: matrices of both orders, vectors and expressions become tensors") {
    Eigen::Matrix<float, 2, 3> columns_first;
    columns_first << 1, 2, 3, 4, 5, 6;
    const Tensor<float, 2> expected{{1, 2, 3}, {4, 5, 6}};
    CHECK(test::bitwise_equal(interop::from_eigen(columns_first), expected));
    CHECK(test::bitwise_equal(interop::from_eigen(interop::EigenMatrix<float>(columns_first)), expected));
    CHECK(test::bitwise_equal(interop::from_eigen(columns_first.block(0, 1, 2, 2) * 2.0f),
                              Tensor<float, 2>{{4, 6}, {10, 12}}));
    CHECK(test::bitwise_equal(interop::from_eigen(Eigen::Vector3d(1, 2, 3)), Tensor<double, 1>{1, 2, 3}));
    CHECK(test::bitwise_equal(interop::from_eigen(Eigen::RowVector3d(1, 2, 3)), Tensor<double, 1>{1, 2, 3}));
    CHECK(test::bitwise_equal(interop::from_eigen(Eigen::ArrayXXi::Constant(2, 2, 7)),
                              full<std::int32_t>(Shape{2, 2}, 7)));
}

TEST_CASE("eigen: a borrowed matrix shares its elements, whatever its order") {
    Eigen::MatrixXd m(2, 3);
    m << 1, 2, 3, 4, 5, 6;
    auto x = interop::borrow_eigen(m);
    CHECK(x.shape() == Shape{2, 3});
    CHECK(x.data() == m.data());
    CHECK(x(0, 2) == 3);
    CHECK(x(1, 0) == 4);
    x.mutable_at(1, 2) = 60;
    CHECK(m(1, 2) == 60);
    auto rows = interop::EigenMatrix<double>(m);
    CHECK(interop::borrow_eigen(rows).is_contiguous());
    CHECK(test::bitwise_equal(interop::borrow_eigen(rows), x));
}
