#pragma once
// The 3 x 3 convolution and its gradients by their definition, in double, and random numbers to try them on.
#include <lamina/kernels/conv/geometry.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace winograd_test {

using lamina::Index;
using lamina::kernels::Conv2dGeometry;

inline Conv2dGeometry geometry(Index batch, Index in, Index h, Index w, Index out, Index pad_h, Index pad_w,
                               Index out_h, Index out_w) {
    return {batch, in, h, w, out, 3, 3, 1, 1, pad_h, pad_w, 1, 1, 1, out_h, out_w};
}
inline Conv2dGeometry same(Index batch, Index in, Index h, Index w, Index out) {
    return geometry(batch, in, h, w, out, 1, 1, h, w);
}

/// Odd channels, sides below and above one tile, all kinds of padding, several images to a block, wide rows.
inline const Conv2dGeometry shapes[] = {
    same(1, 16, 8, 8, 32),
    same(2, 20, 9, 7, 37),
    same(3, 17, 7, 7, 33),
    geometry(2, 5, 6, 11, 3, 0, 0, 4, 9),
    geometry(1, 18, 5, 11, 35, 0, 2, 3, 14),
    geometry(2, 3, 1, 1, 2, 2, 2, 3, 3),
    geometry(1, 4, 2, 3, 5, 5, 4, 10, 9),
    geometry(1, 33, 5, 6, 1, 1, 0, 4, 7),
    same(1, 1, 1, 1, 1),
    same(1, 200, 3, 300, 2),
    same(9, 70, 5, 5, 40),
};

template <class T>
std::vector<T> normal(Index count, unsigned seed, double deviation = 1, bool positive = false) {
    std::mt19937 bits(seed);
    std::normal_distribution<double> distribution(0, deviation);
    std::vector<T> out(std::size_t(count), T(0));
    for (T& x : out) {
        x = T(distribution(bits));
        if (positive && x < 0) x = 0;
    }
    return out;
}

/// Calls f(input, weight, output, count) for runs of `count` outputs along a row that one tap adds to.
template <class F>
void for_each_run(const Conv2dGeometry& g, F&& f) {
    for (Index n = 0; n < g.batch; ++n)
        for (Index o = 0; o < g.out_channels; ++o)
            for (Index c = 0; c < g.in_channels; ++c)
                for (Index tap = 0; tap < 9; ++tap)
                    for (Index y = 0; y < g.out_h; ++y) {
                        const Index iy = y - g.pad_h + tap / 3, shift = tap % 3 - g.pad_w;
                        const Index begin = std::max<Index>(0, -shift), end = std::min(g.out_w, g.in_w - shift);
                        if (iy >= 0 && iy < g.in_h && begin < end)
                            f(((n * g.in_channels + c) * g.in_h + iy) * g.in_w + begin + shift,
                              (o * g.in_channels + c) * 9 + tap,
                              ((n * g.out_channels + o) * g.out_h + y) * g.out_w + begin, end - begin);
                    }
}

template <class T>
std::vector<double> forward(const Conv2dGeometry& g, const std::vector<T>& x, const std::vector<T>& w) {
    std::vector<double> y(std::size_t(g.batch * g.out_channels * g.plane()));
    for_each_run(g, [&](Index in, Index tap, Index out, Index count) {
        for (Index i = 0; i < count; ++i) y[std::size_t(out + i)] += double(w[tap]) * double(x[in + i]);
    });
    return y;
}
template <class T>
std::vector<double> grad_input(const Conv2dGeometry& g, const std::vector<T>& dy, const std::vector<T>& w) {
    std::vector<double> dx(std::size_t(g.batch * g.in_channels * g.in_plane()));
    for_each_run(g, [&](Index in, Index tap, Index out, Index count) {
        for (Index i = 0; i < count; ++i) dx[std::size_t(in + i)] += double(w[tap]) * double(dy[out + i]);
    });
    return dx;
}
template <class T>
std::vector<double> grad_weight(const Conv2dGeometry& g, const std::vector<T>& dy, const std::vector<T>& x) {
    std::vector<double> dw(std::size_t(9 * g.in_channels * g.out_channels));
    for_each_run(g, [&](Index in, Index tap, Index out, Index count) {
        double sum = 0;
        for (Index i = 0; i < count; ++i) sum += double(x[in + i]) * double(dy[out + i]);
        dw[std::size_t(tap)] += sum;
    });
    return dw;
}

/// Largest and RMS error, over the RMS of the exact values.
struct Deviation {
    double largest, rms;
};
template <class T>
Deviation error(const std::vector<T>& got, const std::vector<double>& exact) {
    double largest = 0, squares = 0, scale = 1e-30;
    for (std::size_t i = 0; i < exact.size(); ++i) {
        const double e = std::abs(double(got[i]) - exact[i]);
        largest = e <= largest ? largest : std::isnan(e) ? std::numeric_limits<double>::infinity() : e;
        squares += e * e;
        scale += exact[i] * exact[i];
    }
    const double unit = std::sqrt(scale / double(exact.size() + 1));
    return {largest / unit, std::sqrt(squares / double(exact.size() + 1)) / unit};
}
/// What a result of T may be off on small shapes.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 2e-5 : 4e-14;

/// Room for a result between two marks that nobody may touch.
template <class T>
class Guarded {
public:
    explicit Guarded(Index count, T fill = std::numeric_limits<T>::quiet_NaN()) : all_(std::size_t(count) + 32, fill) {
        for (int i = 0; i < 16; ++i) all_[std::size_t(i)] = all_[all_.size() - 1 - std::size_t(i)] = T(12345);
    }
    T* data() { return all_.data() + 16; }
    std::vector<T> values() const { return {all_.begin() + 16, all_.end() - 16}; }
    bool untouched_outside() const {
        bool good = true;
        for (std::size_t i = 0; i < 16; ++i)
            good = good && all_[i] == T(12345) && all_[all_.size() - 1 - i] == T(12345);
        return good;
    }

private:
    std::vector<T> all_;
};

}  // namespace winograd_test
