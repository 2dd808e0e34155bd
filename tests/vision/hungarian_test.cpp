#include <lamina/vision/hungarian.hpp>
#include <tests/support/golden.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace lamina;

namespace {

/// The least cost over all assignments of the shorter side, by trying each.
double brute_force(const Tensor<double, 2>& cost) {
    const bool turned = cost.dim(0) > cost.dim(1);
    const Index n = std::min(cost.dim(0), cost.dim(1)), m = std::max(cost.dim(0), cost.dim(1));
    std::vector<Index> order(static_cast<std::size_t>(m));
    for (Index i = 0; i < m; ++i) order[std::size_t(i)] = i;
    double best = std::numeric_limits<double>::infinity();
    do {
        double total = 0;
        for (Index i = 0; i < n; ++i) {
            const Index j = order[std::size_t(i)];
            total += turned ? cost(j, i) : cost(i, j);
        }
        best = std::min(best, total);
    } while (std::next_permutation(order.begin(), order.end()));
    return best;
}

void check_valid(const vision::Assignment& a, const Tensor<double, 2>& cost) {
    REQUIRE(a.rows.numel() == std::min(cost.dim(0), cost.dim(1)));
    std::vector<bool> used(std::size_t(cost.dim(1)));
    double total = 0;
    for (Index k = 0; k < a.rows.numel(); ++k) {
        if (k > 0) CHECK(a.rows(k) > a.rows(k - 1));
        CHECK(!used[std::size_t(a.columns(k))]);
        used[std::size_t(a.columns(k))] = true;
        total += cost(a.rows(k), a.columns(k));
    }
    CHECK(total == doctest::Approx(a.cost).epsilon(1e-12));
}

}  // namespace

TEST_CASE("hungarian: golden") {
    for (const auto& c : test::golden_cases("detr/assignment")) {
        if (c.has("in.cost")) {
            const auto cost = c.tensor<double, 2>("in.cost");
            const auto a = vision::hungarian(cost);
            check_valid(a, cost);
            CHECK(a.cost == doctest::Approx(c.tensor<float, 0>("out.total").item()).epsilon(1e-6));
            continue;
        }
        for (int k = 0; k < 5; ++k) {
            const std::string digit(1, char('0' + k));
            const auto a = vision::hungarian(c.tensor<float, 2>("in.cost" + digit));
            test::check_golden(c, "rows" + digit, a.rows);
            test::check_golden(c, "cols" + digit, a.columns);
            CHECK(a.cost == doctest::Approx(c.tensor<double, 0>("out.total" + digit).item()).epsilon(1e-12));
        }
    }
}

TEST_CASE("hungarian: the least cost of all assignments, with ties, negative and forbidden pairs") {
    for (Index rows = 0; rows <= 7; ++rows)
        for (Index columns = 0; columns <= 7; ++columns) {
            if (std::max(rows, columns) == 7 && (rows + columns) % 3 != 0) continue;
            for (const int kind : {0, 1, 2}) {
                auto cost = test::wave<double>(Shape{rows, columns}, kind + double(rows));
                for (Index i = 0; i < cost.numel(); ++i) {
                    double& c = cost.mutable_data()[i];
                    if (kind == 1) c = std::floor(c * 3);
                    if (kind == 2 && i % 5 == 1 && rows > 2 && columns > 2) c = std::numeric_limits<double>::infinity();
                }
                const double best = brute_force(cost);
                if (!std::isfinite(best)) continue;
                const auto a = vision::hungarian(cost);
                check_valid(a, cost);
                CHECK(a.cost == doctest::Approx(best).epsilon(1e-12));
            }
        }
    const Tensor<double, 2> known{{4, 1, 3}, {2, 0, 5}, {3, 2, 2}};
    const auto a = vision::hungarian(known);
    CHECK(a.cost == 5);
    CHECK(a.columns(0) == 1);
    CHECK(a.columns(1) == 0);
    CHECK(a.columns(2) == 2);
}

TEST_CASE("hungarian: a large problem satisfies its dual bound by rows and columns") {
    const auto cost = test::wave<double>(Shape{300, 50});
    const auto a = vision::hungarian(cost);
    check_valid(a, cost);
    const Tensor<double, 2> turned(cost.storage(), const_cast<double*>(cost.data()), Shape{50, 300}, {1, 50});
    CHECK(vision::hungarian(turned).cost == doctest::Approx(a.cost).epsilon(1e-12));
}

TEST_CASE("hungarian: errors") {
    const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    CHECK(test::message_of<ValueError>([&] {
              (void)vision::hungarian(Tensor<double, 2>{{1, nan}});
          }) == "hungarian: matrix contains invalid numeric entries (nan in row 0, column 1)");
    CHECK(test::message_of<ValueError>([&] {
              (void)vision::hungarian(Tensor<double, 2>{{1, 2}, {-inf, 0}});
          }) == "hungarian: matrix contains invalid numeric entries (-inf in row 1, column 0)");
    CHECK(test::message_of<ValueError>([&] {
              (void)vision::hungarian(Tensor<double, 2>{{1, 2}, {inf, inf}});
          }) == "hungarian: cost matrix is infeasible (row 1 of 2)");
}
