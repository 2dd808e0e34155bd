#pragma once
// How like another an image is: peak signal-to-noise ratio, and structural similarity.
#include <lamina/core/create.hpp>

#include <cmath>
#include <vector>

namespace lamina::inline LAMINA_ABI::vision {

/// 10 log10(range² / mean squared difference) in decibels over all elements, computed in double; infinite for equal
/// images. `range` is the distance of white from black. Throws ShapeError.
template <Real T, int R>
double psnr(const Tensor<T, R>& a, const Tensor<T, R>& b, double range = 1) {
    require(a.shape() == b.shape() && a.numel() > 0, "psnr: both images must have one shape, and not be empty (",
            a.shape(), " and ", b.shape(), ")");
    const auto x = a.is_contiguous() ? a : a.clone(), y = b.is_contiguous() ? b : b.clone();
    double sum = 0;
    for (Index i = 0; i < x.numel(); ++i) {
        const double d = double(x.data()[i]) - double(y.data()[i]);
        sum += d * d;
    }
    return 10 * std::log10(range * range / (sum / double(x.numel())));
}

namespace detail {

/// A plane filtered by the same weights along rows and columns, where the window lies inside.
struct GaussianWindow {
    static constexpr Index size = 11;
    double weight[size];

    explicit GaussianWindow(double sigma) {
        double sum = 0;
        for (Index i = 0; i < size; ++i) {
            const double d = double(i - size / 2) / sigma;
            sum += weight[i] = std::exp(-d * d / 2);
        }
        for (double& w : weight) w /= sum;
    }
    /// out [height - 10, width - 10] = mean of plane [height, width] under the window; `work` [height, width - 10].
    void mean(const std::vector<double>& plane, Index height, Index width, std::vector<double>& work,
              std::vector<double>& out) const {
        const Index columns = width - size + 1, rows = height - size + 1;
        work.assign(std::size_t(height * columns), 0);
        out.assign(std::size_t(rows * columns), 0);
        for (Index i = 0; i < height; ++i)
            for (Index k = 0; k < size; ++k)
                add(&work[std::size_t(i * columns)], &plane[std::size_t(i * width + k)], weight[k], columns);
        for (Index i = 0; i < rows; ++i)
            for (Index k = 0; k < size; ++k)
                add(&out[std::size_t(i * columns)], &work[std::size_t((i + k) * columns)], weight[k], columns);
    }

private:
    static void add(double* to, const double* from, double weight, Index count) {
        for (Index i = 0; i < count; ++i) to[i] += weight * from[i];
    }
};

}  // namespace detail

/// Mean structural similarity of images [N, C, H, W], at most 1 (Z. Wang et al., Image Quality Assessment, 2004):
/// Gaussian windows of 11 x 11 with standard deviation 1.5 that lie inside, K1 = 0.01, K2 = 0.03, channel by channel,
/// computed in double. `range` is the distance of white from black. Throws ShapeError below 11 x 11.
template <Real T>
double ssim(const Tensor<T, 4>& a, const Tensor<T, 4>& b, double range = 1) {
    constexpr Index size = detail::GaussianWindow::size;
    const Index planes = a.dim(0) * a.dim(1), height = a.dim(2), width = a.dim(3), count = height * width;
    require(a.shape() == b.shape() && planes > 0 && height >= size && width >= size,
            "ssim: both images must have one shape of at least 11 x 11 (", a.shape(), " and ", b.shape(), ")");
    const auto x = a.is_contiguous() ? a : a.clone(), y = b.is_contiguous() ? b : b.clone();
    const detail::GaussianWindow window(1.5);
    const double c1 = 0.01 * range * 0.01 * range, c2 = 0.03 * range * 0.03 * range;
    std::vector<double> plane(static_cast<std::size_t>(count)), work, means[5];
    double sum = 0;
    for (Index p = 0; p < planes; ++p) {
        const T *const u = x.data() + p * count, *const v = y.data() + p * count;
        for (int k = 0; k < 5; ++k) {
            for (Index i = 0; i < count; ++i) {
                const double s = double(u[i]), t = double(v[i]);
                plane[std::size_t(i)] = k == 0 ? s : k == 1 ? t : k == 2 ? s * s : k == 3 ? t * t : s * t;
            }
            window.mean(plane, height, width, work, means[k]);
        }
        double of_plane = 0;
        for (std::size_t i = 0; i < means[0].size(); ++i) {
            const double m = means[0][i], n = means[1][i];
            const double var_x = means[2][i] - m * m, var_y = means[3][i] - n * n, both = means[4][i] - m * n;
            of_plane += (2 * m * n + c1) * (2 * both + c2) / ((m * m + n * n + c1) * (var_x + var_y + c2));
        }
        sum += of_plane / double(means[0].size());
    }
    return sum / double(planes);
}

}  // namespace lamina::inline LAMINA_ABI::vision
