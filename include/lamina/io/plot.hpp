#pragma once
// Line plots and grids of labelled images as PNG files: enough to look at a training run.
#include <lamina/io/canvas.hpp>
#include <lamina/io/png.hpp>

namespace lamina::inline LAMINA_ABI::io {

/// One curve. Without `x` the points lie at 0, 1, 2, …; a value that is not finite leaves a gap.
struct Series {
    std::string label;
    std::vector<double> y;
    std::vector<double> x = {};
};

struct PlotOptions {
    std::string x_label = {}, y_label = {};
    Index width = 960, height = 540;
};

struct GridOptions {
    Index columns = 8;
    Index scale = 0;  ///< pixels of the grid to a pixel of an image; 0 chooses so that images are about 100 wide
};

namespace detail {

/// Tick marks at multiples of 1, 2 or 5 times a power of ten, about `count` of them in [low, high].
struct Ticks {
    double low, high, step;

    Ticks(double least, double most, Index count) {
        if (!(least <= most)) least = 0, most = 1;
        const double margin = std::max(std::abs(least), std::abs(most)) * 1e-9;
        if (most - least <= margin + 1e-300) {
            const double around = std::abs(least) < 1e-290 ? 1 : std::abs(least) / 2;
            least -= around;
            most += around;
        }
        const double raw = (most - least) / double(count), power = std::pow(10.0, std::floor(std::log10(raw)));
        step = raw <= power ? power : raw <= 2 * power ? 2 * power : raw <= 5 * power ? 5 * power : 10 * power;
        low = least;
        high = most;
    }
    Index first() const { return Index(std::ceil(low / step - 1e-9)); }
    Index last() const { return Index(std::floor(high / step + 1e-9)); }
    std::string text(Index tick) const {
        const double value = double(tick) * step;
        const int decimals = std::max(0, -int(std::floor(std::log10(step) + 1e-9)));
        char digits[64];
        const bool plain = decimals <= 6 && std::abs(value) < 1e7;
        const auto end = plain
                             ? std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, decimals)
                             : std::to_chars(digits, digits + sizeof digits, value, std::chars_format::general, 4);
        return std::string(digits, end.ptr);
    }
};

inline constexpr Color series_colors[] = {{31, 119, 180},  {255, 127, 14}, {44, 160, 44},   {214, 39, 40},
                                          {148, 103, 189}, {140, 86, 75},  {227, 119, 194}, {23, 190, 207}};

inline constexpr Index text_scale = 2, line_height = glyph_height * text_scale;

/// The part of a plot where curves lie, and the way from values to pixels.
struct PlotArea {
    Index left, top, width, height;
    Ticks x, y;
    Point at(double vx, double vy) const {
        return {double(left) + (vx - x.low) / (x.high - x.low) * double(width),
                double(top + height) - (vy - y.low) / (y.high - y.low) * double(height)};
    }
};

inline void draw_axes(Canvas& canvas, const PlotArea& area, const PlotOptions& o) {
    for (Index t = area.y.first(); t <= area.y.last(); ++t) {
        const auto y = Index(area.at(0, double(t) * area.y.step).y);
        const std::string text = area.y.text(t);
        canvas.rectangle(area.left, y, area.width, 1, pale);
        canvas.rectangle(area.left - 6, y, 6, 1, ink);
        canvas.text(area.left - 12 - text_width(text, text_scale), y - line_height / 2, text, text_scale, ink);
    }
    for (Index t = area.x.first(); t <= area.x.last(); ++t) {
        const auto x = Index(area.at(double(t) * area.x.step, 0).x);
        const std::string text = area.x.text(t);
        canvas.rectangle(x, area.top, 1, area.height, pale);
        canvas.rectangle(x, area.top + area.height, 1, 6, ink);
        canvas.text(x - text_width(text, text_scale) / 2, area.top + area.height + 12, text, text_scale, ink);
    }
    canvas.frame(area.left, area.top, area.width, area.height, 1, ink);
    canvas.text(area.left + (area.width - text_width(o.x_label, text_scale)) / 2, canvas.height() - line_height - 10,
                o.x_label, text_scale, grey);
    canvas.text(8, area.top - line_height - 10, o.y_label, text_scale, grey);
}

/// The legend stands in the corner whose neighbourhood has the fewest points of curves.
inline void draw_legend(Canvas& canvas, const PlotArea& area, const std::vector<Series>& series,
                        const std::vector<std::vector<Point>>& curves) {
    Index width = 0, count = 0;
    for (const auto& s : series) {
        width = std::max(width, text_width(s.label, text_scale));
        count += !s.label.empty();
    }
    if (count == 0) return;
    width += 52;
    const Index height = count * (line_height + 8) + 8;
    Index best_x = 0, best_y = 0, least = -1;
    for (const Index y : {area.top + 10, area.top + area.height - height - 10})
        for (const Index x : {area.left + area.width - width - 10, area.left + 10}) {
            Index hits = 0;
            for (const auto& curve : curves)
                for (const Point& p : curve)
                    hits += p.x > double(x) - 8 && p.x < double(x + width) + 8 && p.y > double(y) - 8 &&
                            p.y < double(y + height) + 8;
            if (least < 0 || hits < least) least = hits, best_x = x, best_y = y;
        }
    canvas.rectangle(best_x, best_y, width, height, white);
    canvas.frame(best_x, best_y, width, height, 1, pale);
    Index line = best_y + 8;
    for (std::size_t i = 0; i < series.size(); ++i) {
        if (series[i].label.empty()) continue;
        canvas.rectangle(best_x + 8, line + line_height / 2 - 1, 28, 3, series_colors[i % std::size(series_colors)]);
        canvas.text(best_x + 44, line, series[i].label, text_scale, ink);
        line += line_height + 8;
    }
}

inline std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1))
        lines.push_back(text.substr(0, end));
    if (!text.empty()) lines.push_back(text);
    return lines;
}

}  // namespace detail

/// Draws the curves with axes, numbers, a title and a legend [height, width, 3]. Throws ValueError when a series has
/// another number of `x` than of `y`, and for a picture under 200 x 150 or over 16384 pixels on a side.
inline Tensor<std::uint8_t, 3> draw_lines(const std::string& title, const std::vector<Series>& series,
                                          const PlotOptions& o = {}) {
    using namespace detail;
    require<ValueError>(o.width >= 200 && o.height >= 150 && o.width <= 16384 && o.height <= 16384,
                        "plot_lines: width must lie in [200, 16384] and height in [150, 16384] but they are ", o.width,
                        " and ", o.height);
    constexpr double infinity = std::numeric_limits<double>::infinity(), largest = 1e300;
    double x_low = infinity, x_high = -infinity, y_low = infinity, y_high = -infinity;
    const auto x_of = [](const Series& s, std::size_t i) { return s.x.empty() ? double(i) : s.x[i]; };
    for (const auto& s : series) {
        require<ValueError>(s.x.empty() || s.x.size() == s.y.size(), "plot_lines: series \"", s.label,
                            "\" must have as many x as y but has ", s.x.size(), " and ", s.y.size());
        for (std::size_t i = 0; i < s.y.size(); ++i) {
            if (!(std::abs(s.y[i]) < largest && std::abs(x_of(s, i)) < largest)) continue;
            x_low = std::min(x_low, x_of(s, i));
            x_high = std::max(x_high, x_of(s, i));
            y_low = std::min(y_low, s.y[i]);
            y_high = std::max(y_high, s.y[i]);
        }
    }
    const double margin = y_high > y_low ? (y_high - y_low) * 0.04 : 0;
    const Ticks y(y_low - margin, y_high + margin, std::max<Index>(2, o.height / 90));
    const Ticks x(x_low, x_high, std::max<Index>(2, o.width / 130));
    Index label_width = 0;
    for (Index t = y.first(); t <= y.last(); ++t)
        label_width = std::max(label_width, text_width(y.text(t), text_scale));
    const Index left = label_width + 26, top = 24 + 2 * line_height + (o.y_label.empty() ? 0 : 14);
    const Index right = std::max<Index>(30, text_width(x.text(x.last()), text_scale) / 2 + 8);
    const Index bottom = 22 + line_height + (o.x_label.empty() ? 0 : line_height + 14);
    const PlotArea area{left, top, o.width - left - right, o.height - top - bottom, x, y};

    Canvas canvas(o.width, o.height);
    canvas.text((o.width - text_width(title, text_scale)) / 2, 14, title, text_scale, ink);
    draw_axes(canvas, area, o);
    std::vector<std::vector<Point>> curves;
    for (const auto& s : series) {
        std::vector<Point> points;
        for (std::size_t i = 0; i < s.y.size(); ++i) points.push_back(area.at(x_of(s, i), s.y[i]));
        canvas.curve(points, 2, series_colors[curves.size() % std::size(series_colors)]);
        curves.push_back(std::move(points));
    }
    draw_legend(canvas, area, series, curves);
    return canvas.image();
}

/// The same as a PNG file. Throws ValueError and IoError.
inline void plot_lines(const std::string& path, const std::string& title, const std::vector<Series>& series,
                       const PlotOptions& o = {}) {
    save_png(path, draw_lines(title, series, o));
}

/// Images [N, H, W, C], C 1 or 3, side by side on white, each with its label below (lines end in '\n'); a marked image
/// gets a red frame and red text. `labels` and `marks` have N entries or none. Throws ShapeError and ValueError.
inline Tensor<std::uint8_t, 3> image_grid(const Tensor<std::uint8_t, 4>& images,
                                          const std::vector<std::string>& labels = {},
                                          const std::vector<bool>& marks = {}, const GridOptions& o = {}) {
    using namespace detail;
    const Index count = images.dim(0), height = images.dim(1), width = images.dim(2), channels = images.dim(3);
    require(count >= 1 && height >= 1 && width >= 1 && (channels == 1 || channels == 3),
            "image_grid: images must be [N, H, W, C] with 1 or 3 channels but are ", images.shape());
    require<ValueError>(
        (labels.empty() || Index(labels.size()) == count) && (marks.empty() || Index(marks.size()) == count),
        "image_grid: labels and marks must have ", count, " entries or none but have ", labels.size(), " and ",
        marks.size());
    require<ValueError>(o.columns >= 1 && o.scale >= 0,
                        "image_grid: columns must be positive and scale not negative but are ", o.columns, " and ",
                        o.scale);
    const auto dense = images.is_contiguous() ? images : images.clone();
    const Index scale = o.scale ? o.scale : std::max<Index>(1, 100 / width);
    const Index columns = std::min(o.columns, count), rows = (count + columns - 1) / columns;
    Index text_lines = 0, cell = width * scale;
    for (const auto& label : labels) {
        const auto lines = lines_of(label);
        text_lines = std::max(text_lines, Index(lines.size()));
        for (const auto line : lines) cell = std::max(cell, text_width(line, text_scale));
    }
    constexpr Index gap = 16, frame = 4, below = 12, spacing = line_height + 4;
    const Index cell_height = height * scale + (text_lines ? below + text_lines * spacing : 0);
    Canvas canvas(gap + columns * (cell + gap), gap + rows * (cell_height + gap));
    for (Index n = 0; n < count; ++n) {
        const Index x = gap + n % columns * (cell + gap), y = gap + n / columns * (cell_height + gap);
        const Index image_x = x + (cell - width * scale) / 2;
        const bool marked = !marks.empty() && marks[std::size_t(n)];
        for (Index i = 0; i < height; ++i)
            for (Index j = 0; j < width; ++j) {
                const std::uint8_t* const p = dense.data() + ((n * height + i) * width + j) * channels;
                const Color color = channels == 3 ? Color{p[0], p[1], p[2]} : Color{p[0], p[0], p[0]};
                canvas.rectangle(image_x + j * scale, y + i * scale, scale, scale, color);
            }
        if (marked) canvas.frame(image_x, y, width * scale, height * scale, frame, red);
        if (labels.empty()) continue;
        Index line_y = y + height * scale + below;
        for (const auto line : lines_of(labels[std::size_t(n)])) {
            canvas.text(x + (cell - text_width(line, text_scale)) / 2, line_y, line, text_scale, marked ? red : ink);
            line_y += spacing;
        }
    }
    return canvas.image();
}

/// The same for grey images [N, H, W].
inline Tensor<std::uint8_t, 3> image_grid(const Tensor<std::uint8_t, 3>& images,
                                          const std::vector<std::string>& labels = {},
                                          const std::vector<bool>& marks = {}, const GridOptions& o = {}) {
    const auto dense = images.is_contiguous() ? images : images.clone();
    const Shape<4> shape{dense.dim(0), dense.dim(1), dense.dim(2), 1};
    return image_grid(Tensor<std::uint8_t, 4>(dense.storage(), const_cast<std::uint8_t*>(dense.data()), shape,
                                              contiguous_strides(shape)),
                      labels, marks, o);
}

}  // namespace lamina::inline LAMINA_ABI::io
