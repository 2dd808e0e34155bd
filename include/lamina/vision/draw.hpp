#pragma once
// Pictures of what a detector sees: boxes with labels, heat maps over images, many images side by side.
#include <lamina/core/size2.hpp>
#include <lamina/io/canvas.hpp>
#include <lamina/vision/boxes_columns.hpp>

#include <string>

namespace lamina::inline LAMINA_ABI::vision {

/// How boxes are drawn.
struct DrawBoxesOptions {
    std::vector<std::string> labels = {};   ///< one for each box, or none
    std::vector<std::int64_t> colors = {};  ///< one number for each box, equal ones in one colour: its class, say
    Index thickness = 2;                    ///< of the lines, in pixels
    Index text_scale = 1;                   ///< pixels to a dot of the letters
};

namespace detail {

/// Distinct colours for the numbers 0, 1, 2, …: hues a golden angle apart.
inline io::detail::Color color_of(std::int64_t number) {
    const double hue = double(std::uint64_t(number) % 1024) * 0.6180339887498949 * 6;
    const auto channel = [&](double shift) {
        const double at = std::fmod(hue + shift, 6.0), level = std::abs(at - 3) - 1;
        return std::uint8_t(30 + 210 * (level < 0 ? 0 : level > 1 ? 1 : level));
    };
    return {channel(0), channel(4), channel(2)};
}
inline void require_rgb(const char* op, const Tensor<std::uint8_t, 3>& image) {
    require(image.dim(2) == 3, op, ": image must have shape [H, W, 3] but has ", image.shape());
}
/// A pixel's number, within [-1e6, 1e6] so that no sum with it overflows.
template <class T>
Index pixel_of(T x) {
    return x > T(-1e6) ? x < T(1e6) ? Index(std::floor(x + T(0.5))) : Index(1000000) : Index(-1000000);
}

}  // namespace detail

/// A copy of `image` [H, W, 3] with the boxes [N, 4] (x1, y1, x2, y2) and their labels on it. What lies outside is cut
/// off; boxes that are not numbers are left out. Throws ShapeError and ValueError.
template <Real T>
Tensor<std::uint8_t, 3> draw_boxes(const Tensor<std::uint8_t, 3>& image, const Tensor<T, 2>& boxes,
                                   const DrawBoxesOptions& o = {}) {
    detail::require_rgb("draw_boxes", image);
    detail::require_columns("draw_boxes", "boxes", boxes, 4);
    const Index count = boxes.dim(0);
    require<ValueError>(
        (o.labels.empty() || Index(o.labels.size()) == count) && (o.colors.empty() || Index(o.colors.size()) == count),
        "draw_boxes: labels and colors must have ", count, " entries or none but have ", o.labels.size(), " and ",
        o.colors.size());
    require<ValueError>(o.thickness >= 1 && o.text_scale >= 1 && o.thickness <= 1000 && o.text_scale <= 100,
                        "draw_boxes: thickness must lie in [1, 1000] and text_scale in [1, 100] (", o.thickness,
                        " and ", o.text_scale, ")");
    io::detail::Canvas canvas(image);
    for (Index i = 0; i < count; ++i) {
        const T x1 = boxes(i, 0), y1 = boxes(i, 1), x2 = boxes(i, 2), y2 = boxes(i, 3);
        if (x1 != x1 || y1 != y1 || x2 != x2 || y2 != y2) continue;
        const Index left = detail::pixel_of(x1), top = detail::pixel_of(y1);
        const Index width = detail::pixel_of(x2) - left, height = detail::pixel_of(y2) - top, line = o.thickness;
        const auto color = detail::color_of(o.colors.empty() ? i : o.colors[std::size_t(i)]);
        canvas.frame(left + line, top + line, width - 2 * line, height - 2 * line, line, color);
        if (o.labels.empty()) continue;
        const std::string& label = o.labels[std::size_t(i)];
        const Index s = o.text_scale, text_height = io::detail::glyph_height * s + 4 * s;
        // Above the box, or inside where it begins at the image's edge.
        const Index text_top = top >= text_height ? top - text_height
                               : top > 0          ? top
                                                  : 0,
                    text_left = left > 0 ? left : 0;
        canvas.rectangle(text_left, text_top, io::detail::text_width(label, s) + 4 * s, text_height, color);
        const bool bright = 3 * color.r + 6 * color.g + color.b > 1400;
        canvas.text(text_left + 2 * s, text_top + 2 * s, label, s, bright ? io::detail::ink : io::detail::white);
    }
    return canvas.image();
}

/// Colours [H, W, 3] of the numbers of `heat` [H, W] between `least` and `most`: black, purple, orange, pale yellow.
/// NaN is grey.
template <Real T>
Tensor<std::uint8_t, 3> heat_colors(const Tensor<T, 2>& heat, double least = 0, double most = 1) {
    constexpr double stops[5][3] = {{0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}};
    auto out = empty<std::uint8_t>(Shape{heat.dim(0), heat.dim(1), 3});
    std::uint8_t* pixel = out.mutable_data();
    for (Index i = 0; i < heat.dim(0); ++i)
        for (Index j = 0; j < heat.dim(1); ++j, pixel += 3) {
            const double level = (double(heat(i, j)) - least) / (most - least);
            if (level != level) {
                pixel[0] = pixel[1] = pixel[2] = 128;
                continue;
            }
            const double at = level <= 0 ? 0 : level >= 1 ? 4 : level * 4;
            const int k = at >= 4 ? 3 : int(at);
            for (int c = 0; c < 3; ++c)
                pixel[c] = std::uint8_t(stops[k][c] + (stops[k + 1][c] - stops[k][c]) * (at - k) + 0.5);
        }
    return out;
}

/// A copy of `image` [H, W, 3] under the colours of `heat` [h, w], stretched over it: each pixel takes the nearest
/// cell's colour to the part `opacity`. Throws ShapeError for an empty map.
template <Real T>
Tensor<std::uint8_t, 3> draw_heat(const Tensor<std::uint8_t, 3>& image, const Tensor<T, 2>& heat, double opacity = 0.5,
                                  double least = 0, double most = 1) {
    detail::require_rgb("draw_heat", image);
    require(heat.numel() > 0, "draw_heat: heat must not be empty but has ", heat.shape());
    io::detail::Canvas canvas(image);
    const auto colors = heat_colors(heat, least, most);
    for (Index y = 0; y < canvas.height(); ++y)
        for (Index x = 0; x < canvas.width(); ++x) {
            const Index i = y * heat.dim(0) / canvas.height(), j = x * heat.dim(1) / canvas.width();
            const std::uint8_t* const p = colors.data() + (i * heat.dim(1) + j) * 3;
            canvas.blend(x, y, {p[0], p[1], p[2]}, opacity);
        }
    return canvas.image();
}

/// Images [N, C, H, W] side by side, `columns` to a row, with margins of `padding` cells of `value` between and around
/// them: [C, rows (H + padding) + padding, columns (W + padding) + padding]. Throws ShapeError, ValueError
/// (torchvision.utils.make_grid).
template <Real T>
Tensor<T, 3> tile_images(const Tensor<T, 4>& images, Index columns = 8, Index padding = 2,
                         std::type_identity_t<T> value = 0) {
    const Index count = images.dim(0), channels = images.dim(1), height = images.dim(2), width = images.dim(3);
    require(count > 0, "tile_images: there must be at least one image (", images.shape(), ")");
    require<ValueError>(columns > 0 && padding >= 0,
                        "tile_images: columns must be positive and padding not negative but are ", columns, " and ",
                        padding);
    columns = columns < count ? columns : count;
    const Index rows = (count + columns - 1) / columns, step_y = height + padding, step_x = width + padding;
    const auto x = detail::dense(images);
    auto out = full<T>(Shape{channels, rows * step_y + padding, columns * step_x + padding}, value);
    T* const to = out.mutable_data();
    const Index line = out.dim(2), plane = out.dim(1) * line;
    for (Index n = 0; n < count; ++n)
        for (Index c = 0; c < channels; ++c)
            for (Index i = 0; i < height; ++i)
                std::copy_n(
                    x.data() + ((n * channels + c) * height + i) * width, width,
                    to + c * plane + (n / columns * step_y + padding + i) * line + n % columns * step_x + padding);
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::vision
