#include <lamina/kernels/enlarge.hpp>

#include "../support/archs.hpp"
#include "../support/compare.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace lamina;

TEST_CASE_TEMPLATE("enlarge_twice: between pixels their mean, a function of all", Arch, LAMINA_TEST_ARCHS) {
    const auto check = [](auto zero) {
        using T = decltype(zero);
        for (const Index planes : {0, 1, 3})
            for (const Index h : {1, 2, 5})
                for (const Index w : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 18, 33, 35}) {
                    std::vector<T> x(std::size_t(planes * h * w) + 1);
                    for (std::size_t i = 0; i < x.size(); ++i) x[i] = T(test::wave_at(Index(i), 1));
                    std::vector<T> y(std::size_t(planes * h * w * 4) + 1, T(-777));
                    kernels::enlarge_twice<Arch>(planes, h, w, x.data(), y.data(), [](auto v) { return v + v; });
                    CHECK(y.back() == T(-777));
                    double worst = 0;
                    for (Index p = 0; p < planes; ++p)
                        for (Index r = 0; r < 2 * h; ++r)
                            for (Index c = 0; c < 2 * w; ++c) {
                                const auto at = [&](Index i, Index j) {
                                    return double(
                                        x[std::size_t((p * h + std::min(i, h - 1)) * w + std::min(j, w - 1))]);
                                };
                                const Index i = r / 2, j = c / 2, down = r % 2, right = c % 2;
                                const double want =
                                    (at(i, j) + at(i + down, j) + at(i, j + right) + at(i + down, j + right)) / 2;
                                worst = std::max(
                                    worst, test::error_of(double(y[std::size_t((p * 2 * h + r) * 2 * w + c)]), want));
                            }
                    CAPTURE(h);
                    CAPTURE(w);
                    CHECK(worst < (sizeof(T) == 4 ? 1e-6 : 1e-14));
                }
    };
    check(0.0F);
    check(0.0);
}
