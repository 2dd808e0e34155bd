// Reduction trees: right against sums in double, the same bits for every vector width and number of threads.
#include <lamina/kernels/reduce.hpp>
#include <lamina/kernels/reduce_index.hpp>
#include <lamina/kernels/reduce_maps.hpp>
#include <tests/support/archs.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

template <class T>
Tensor<T, 1> irregular(Index n) {
    auto x = empty<T>(Shape{n});
    for (Index i = 0; i < n; ++i) x.mutable_data()[i] = (T(i * 7919 % 1000) - T(499.5)) / T(100);
    return x;
}

template <class Op, class Arch, class T>
Tensor<T, 1> reduced(const kernels::ReduceGeometry& g, const Tensor<T, 1>& x) {
    auto y = empty<T>(Shape{g.outputs()});
    kernels::reduce<Op, Arch>(g, x.data(), static_cast<const T*>(nullptr), y.mutable_data());
    return y;
}

template <class Arch, class T>
void check(const kernels::ReduceGeometry& g) {
    const auto x = irregular<T>(g.inputs());
    const auto sum = reduced<kernels::Sum, Arch>(g, x), top = reduced<kernels::Largest, Arch>(g, x);
    const auto low = reduced<kernels::Smallest, Arch>(g, x);
    for (Index o = 0; o < g.outer; ++o)
        for (Index i = 0; i < g.inner; ++i) {
            double total = 0, size = 0, largest = -INFINITY, smallest = INFINITY;
            for (Index c = 0; c < g.count; ++c) {
                const double v = double(x.data()[(o * g.count + c) * g.inner + i]);
                total += v;
                size += std::abs(v);
                largest = std::max(largest, v);
                smallest = std::min(smallest, v);
            }
            const Index at = o * g.inner + i;
            REQUIRE(std::abs(double(sum.data()[at]) - total) <= (sizeof(T) == 4 ? 1e-6 : 1e-15) * size);
            REQUIRE(double(top.data()[at]) == largest);
            REQUIRE(double(low.data()[at]) == smallest);
        }
    CHECK(test::bitwise_equal(sum, reduced<kernels::Sum, simd::scalar>(g, x)));
    const int before = parallel::num_threads();
    parallel::set_num_threads(3);
    CHECK(test::bitwise_equal(sum, reduced<kernels::Sum, Arch>(g, x)));
    parallel::set_num_threads(before);
}

}  // namespace

TEST_CASE_TEMPLATE("reduce: right, and the same bits for every instruction set and thread count", Arch,
                   LAMINA_TEST_ARCHS) {
    for (Index count : {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 130, 1024, 1025, 2100, 5000}) {
        CAPTURE(count);
        check<Arch, float>({1, count, 1});
        check<Arch, float>({37, count, 1});
        for (Index inner : {2, 15, 16, 17, 33, 1030})
            if (count * inner < 100000) check<Arch, float>({2, count, inner});
        check<Arch, double>({17, count, 1});
        check<Arch, double>({1, count, 9});
    }
    check<Arch, float>({1, 200000, 1});
    check<Arch, float>({1, 70000, 3});
}

TEST_CASE_TEMPLATE("reduce: NaN wins, wherever it stands", Arch, LAMINA_TEST_ARCHS) {
    for (Index n : {1, 5, 16, 20, 65, 1500})
        for (Index at : {Index(0), n / 2, n - 1}) {
            auto x = irregular<float>(n);
            x.mutable_data()[at] = NAN;
            CHECK(std::isnan(reduced<kernels::Largest, Arch>({1, n, 1}, x)(0)));
            CHECK(std::isnan(reduced<kernels::Smallest, Arch>({1, n, 1}, x)(0)));
            Index index = -1;
            kernels::extremum_index<kernels::Largest, Arch>({1, n, 1}, x.data(), &index);
            CHECK(index == at);
            auto columns = empty<float>(Shape{2 * n});
            for (Index i = 0; i < n; ++i)
                columns.mutable_data()[2 * i] = columns.mutable_data()[2 * i + 1] = x.data()[i];
            CHECK(std::isnan(reduced<kernels::Largest, Arch>({1, n, 2}, columns)(1)));
        }
}

TEST_CASE("reduce: maps see the shift of their output") {
    const kernels::ReduceGeometry rows{3, 70, 1}, columns{1, 70, 3};
    const auto x = irregular<double>(210);
    const Tensor<double, 1> shift{{1, -2, 0.5}};
    for (const auto& g : {rows, columns}) {
        auto y = empty<double>(Shape{Index(3)});
        kernels::reduce<kernels::Sum>(g, x.data(), shift.data(), y.mutable_data(), kernels::maps::SquaredDistance{});
        for (Index i = 0; i < 3; ++i) {
            double wanted = 0;
            for (Index c = 0; c < 70; ++c) {
                const double d = x.data()[g.inner == 1 ? i * 70 + c : c * 3 + i] - shift.data()[i];
                wanted += d * d;
            }
            CHECK(y.data()[i] == doctest::Approx(wanted).epsilon(1e-13));
        }
    }
}
