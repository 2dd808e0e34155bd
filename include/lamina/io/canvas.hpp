#pragma once
// Drawing on an RGB image: rectangles, smooth curves and text; what the plots are made of.
#include <lamina/core/create.hpp>
#include <lamina/io/font.hpp>

#include <cmath>
#include <vector>

namespace lamina::inline LAMINA_ABI::io::detail {

struct Color {
    std::uint8_t r, g, b;
};
inline constexpr Color white{255, 255, 255}, ink{40, 40, 48}, grey{140, 140, 150}, pale{226, 226, 232},
    red{214, 39, 40};

struct Point {
    double x, y;
};

/// Width in pixels of a line of text whose dots are `scale` pixels.
constexpr Index text_width(std::string_view text, Index scale) {
    return text.empty() ? 0 : (Index(text.size()) * glyph_advance - 1) * scale;
}

/// An image [H, W, 3] under construction. Whatever lies outside is not drawn.
class Canvas {
public:
    Canvas(Index width, Index height)
        : width_(width),
          height_(height),
          image_(full<std::uint8_t>(Shape{height, width, 3}, 255)) {
        pixels_ = image_.mutable_data();
    }
    /// Draws on a copy of `image` [H, W, 3].
    explicit Canvas(const Tensor<std::uint8_t, 3>& image)
        : width_(image.dim(1)),
          height_(image.dim(0)),
          image_(image.clone()) {
        pixels_ = image_.mutable_data();
    }
    const Tensor<std::uint8_t, 3>& image() const { return image_; }
    Index width() const { return width_; }
    Index height() const { return height_; }

    /// Mixes `color` into one pixel.
    void blend(Index x, Index y, Color color, double coverage = 1) {
        if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
        std::uint8_t* const pixel = pixels_ + (y * width_ + x) * 3;
        const auto mix = [&](std::uint8_t& to, std::uint8_t from) {
            to = std::uint8_t(double(to) + (double(from) - double(to)) * coverage + 0.5);
        };
        mix(pixel[0], color.r);
        mix(pixel[1], color.g);
        mix(pixel[2], color.b);
    }
    void rectangle(Index x, Index y, Index width, Index height, Color color) {
        for (Index j = std::max<Index>(y, 0); j < std::min(y + height, height_); ++j)
            for (Index i = std::max<Index>(x, 0); i < std::min(x + width, width_); ++i) blend(i, j, color);
    }
    /// A frame of `thickness` pixels just outside the rectangle.
    void frame(Index x, Index y, Index width, Index height, Index thickness, Color color) {
        rectangle(x - thickness, y - thickness, width + 2 * thickness, thickness, color);
        rectangle(x - thickness, y + height, width + 2 * thickness, thickness, color);
        rectangle(x - thickness, y, thickness, height, color);
        rectangle(x + width, y, thickness, height, color);
    }
    /// Text whose top left corner is (x, y).
    void text(Index x, Index y, std::string_view text, Index scale, Color color) {
        for (const char c : text) {
            for (Index j = 0; j < glyph_rows; ++j)
                for (Index i = 0; i < glyph_width; ++i)
                    if (glyph_dot(c, i, j)) rectangle(x + i * scale, y + j * scale, scale, scale, color);
            x += glyph_advance * scale;
        }
    }
    /// A smooth line through the points, broken where one is not finite. Each pixel takes the colour once, so that
    /// joints do not darken.
    void curve(const std::vector<Point>& points, double thickness, Color color) {
        std::vector<float> coverage(std::size_t(width_ * height_), 0.0f);
        for (std::size_t i = 0; i < points.size(); ++i) {
            const Point a = points[i], b = points[i + 1 < points.size() ? i + 1 : i];
            if (std::isfinite(a.x) && std::isfinite(a.y))
                cover(coverage, a, std::isfinite(b.x) && std::isfinite(b.y) ? b : a, thickness);
        }
        for (Index i = 0; i < width_ * height_; ++i)
            if (coverage[std::size_t(i)] > 0) blend(i % width_, i / width_, color, double(coverage[std::size_t(i)]));
    }

private:
    void cover(std::vector<float>& coverage, Point a, Point b, double thickness) const {
        const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy, reach = thickness / 2 + 1;
        const auto inside = [](double v, Index limit) { return Index(std::min(std::max(v, 0.0), double(limit))); };
        const Index left = inside(std::min(a.x, b.x) - reach, width_),
                    right = inside(std::max(a.x, b.x) + reach + 1, width_);
        const Index top = inside(std::min(a.y, b.y) - reach, height_),
                    bottom = inside(std::max(a.y, b.y) + reach + 1, height_);
        for (Index y = top; y < bottom; ++y)
            for (Index x = left; x < right; ++x) {
                const double px = double(x) + 0.5 - a.x, py = double(y) + 0.5 - a.y;
                const double t = length > 0 ? std::min(std::max((px * dx + py * dy) / length, 0.0), 1.0) : 0;
                const double distance = std::hypot(px - t * dx, py - t * dy);
                const auto covered = float(std::min(std::max(thickness / 2 + 0.5 - distance, 0.0), 1.0));
                float& pixel = coverage[std::size_t(y * width_ + x)];
                pixel = std::max(pixel, covered);
            }
    }

    Index width_, height_;
    Tensor<std::uint8_t, 3> image_;
    std::uint8_t* pixels_ = nullptr;
};

}  // namespace lamina::inline LAMINA_ABI::io::detail
