#include <lamina/ops/grid_sample.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/pool.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// Result and gradient of f on one thread and on three are the same bits.
template <class F>
void check_threads(const Tensor<float, 4>& input, F&& f) {
    const int before = parallel::num_threads();
    Tensor<float, 4> results[2], gradients[2];
    for (int run = 0; run < 2; ++run) {
        parallel::set_num_threads(run ? 3 : 1);
        const auto x = autograd::leaf(input);
        autograd::Tape tape;
        results[run] = f(x);
        tape.backward(results[run], test::wave<float>(results[run].shape(), 1));
        gradients[run] = autograd::grad(x);
    }
    parallel::set_num_threads(before);
    CHECK(test::bitwise_equal(results[0], results[1]));
    CHECK(test::bitwise_equal(gradients[0], gradients[1]));
}

}  // namespace

TEST_CASE("resampling and pooling: the same bits on any number of threads") {
    const auto x = test::wave<float>(Shape{2, 24, 61, 45});
    check_threads(x, [](const auto& t) {
        return interpolate(t, {.size = {120, 90}, .mode = InterpolateMode::bicubic});
    });
    check_threads(x, [](const auto& t) {
        return interpolate(t, {.size = {20, 33}, .mode = InterpolateMode::bilinear, .antialias = true});
    });
    check_threads(x, [](const auto& t) { return max_pool2d(t, {.kernel = 3, .stride = 2, .padding = 1}); });
    check_threads(x, [](const auto& t) { return avg_pool2d(t, {.kernel = 3, .stride = 1, .padding = 1}); });
    check_threads(x, [](const auto& t) { return adaptive_avg_pool2d(t, 1); });
    const auto grid = test::wave<float>(Shape{2, 70, 30, 2});
    check_threads(x, [&](const auto& t) { return grid_sample(t, grid); });
}
