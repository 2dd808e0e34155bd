#include <lamina/io/image.hpp>
#include <lamina/io/plot.hpp>
#include <tests/io/files.hpp>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

using Image = Tensor<std::uint8_t, 3>;

Index count_of(const Image& image, io::detail::Color color) {
    Index count = 0;
    for (Index i = 0; i < image.numel(); i += 3)
        count += image.data()[i] == color.r && image.data()[i + 1] == color.g && image.data()[i + 2] == color.b;
    return count;
}

std::string ticks_of(double least, double most, Index count) {
    const io::detail::Ticks ticks(least, most, count);
    std::string out;
    for (Index t = ticks.first(); t <= ticks.last(); ++t) out += ticks.text(t) + " ";
    return out;
}

}  // namespace

TEST_CASE("plot: ticks are round numbers within the range") {
    CHECK(ticks_of(0, 10, 5) == "0 2 4 6 8 10 ");
    CHECK(ticks_of(0.21, 2.4, 5) == "0.5 1.0 1.5 2.0 ");
    CHECK(ticks_of(-0.03, 0.04, 7) == "-0.03 -0.02 -0.01 0.00 0.01 0.02 0.03 0.04 ");
    CHECK(ticks_of(0, 4e7, 4) == "0 1e+07 2e+07 3e+07 4e+07 ");
    CHECK(ticks_of(5, 5, 5) == "3 4 5 6 7 ");
    CHECK(ticks_of(0, 0, 4) == "-1.0 -0.5 0.0 0.5 1.0 ");
    CHECK(ticks_of(std::numeric_limits<double>::infinity(), -1, 2) == "0.0 0.5 1.0 ");
    CHECK(ticks_of(0, 5e-324, 4) == "-1.0 -0.5 0.0 0.5 1.0 ");
}

TEST_CASE("plot: a curve runs from the lower left to the upper right in its colour") {
    const auto color = io::detail::series_colors[0];
    const auto image = io::draw_lines("t", {{"", {0, 1, 2, 3}}}, {.width = 300, .height = 200});
    CHECK(image.shape() == Shape{200, 300, 3});
    Index first = -1, last = -1, first_y = 0, last_y = 0;
    for (Index x = 0; x < 300; ++x)
        for (Index y = 0; y < 200; ++y)
            if (image(y, x, 0) == color.r && image(y, x, 1) == color.g && image(y, x, 2) == color.b) {
                if (first < 0) first = x, first_y = y;
                last = x, last_y = y;
            }
    CHECK(first > 10);
    CHECK(last < 299);
    CHECK(last - first > 200);
    CHECK(first_y - last_y > 90);
}

TEST_CASE("plot: values that are not finite leave gaps, and every series has its colour and legend") {
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    const auto whole = io::draw_lines("", {{"", {1, 1, 1, 1, 1}}}), gap = io::draw_lines("", {{"", {1, 1, nan, 1, 1}}});
    CHECK(count_of(gap, io::detail::series_colors[0]) < count_of(whole, io::detail::series_colors[0]) * 3 / 5);
    CHECK(count_of(gap, io::detail::series_colors[0]) > 100);
    std::vector<io::Series> many;
    for (int i = 0; i < 9; ++i)
        many.push_back({message("curve ", i), {double(i), infinity, -1e308, double(i) + 1, nan}});
    const auto image = io::draw_lines("nine", many);
    for (const auto color : io::detail::series_colors) CHECK(count_of(image, color) > 28 * 3 - 1);
    CHECK(io::draw_lines("empty", {}).shape() == Shape{540, 960, 3});
    CHECK(io::draw_lines("nothing", {{"none", {}}, {"gaps", {nan}}}).shape() == Shape{540, 960, 3});
}

TEST_CASE("plot: the file is a PNG of the picture") {
    const test::TemporaryFolder folder;
    const std::vector<io::Series> series{{"a", {3, 1, 2}, {0, 5, 6}}};
    io::plot_lines(folder / "p.png", "title", series, {.x_label = "step", .y_label = "loss"});
    CHECK(test::bitwise_equal(io::load_image(folder / "p.png"),
                              io::draw_lines("title", series, {.x_label = "step", .y_label = "loss"})));
    CHECK(test::message_of<ValueError>([] {
              io::draw_lines("", {{"a", {1, 2}, {1}}});
          }) == "plot_lines: series \"a\" must have as many x as y but has 1 and 2");
    CHECK(test::message_of<ValueError>([] { io::draw_lines("", {}, {.width = 100}); }) ==
          "plot_lines: width must lie in [200, 16384] and height in [150, 16384] but they are 100 and 540");
}

TEST_CASE("image grid: images stand in rows, labels below, marks in red") {
    const auto images = full<std::uint8_t>(Shape{5, 4, 3}, 7);
    const io::GridOptions small{.columns = 3, .scale = 2};
    const auto plain = io::image_grid(images, {}, {}, small);
    CHECK(plain.shape() == Shape{16 + 2 * (8 + 16), 16 + 3 * (6 + 16), 3});
    CHECK(count_of(plain, {7, 7, 7}) == 5 * 4 * 3 * 4);
    CHECK(plain(16, 16, 0) == 7);
    CHECK(plain(15, 16, 0) == 255);
    CHECK(plain(16 + 24 + 7, 16 + 22 + 5, 1) == 7);
    CHECK(plain(16 + 24, 16 + 44, 1) == 255);  // the sixth place is empty
    const auto marked = io::image_grid(images, {}, {false, true, false, false, false}, small);
    CHECK(count_of(marked, io::detail::red) == (6 + 8) * (8 + 8) - 6 * 8);
    const auto labelled = io::image_grid(images, {"a", "b\nc", "", "I", "M"}, {}, small);
    CHECK(labelled.dim(0) == 16 + 2 * (8 + 12 + 2 * 18 + 16));
    CHECK(count_of(labelled, io::detail::ink) > 100);
    CHECK(count_of(labelled, io::detail::red) == 0);
    const auto color = io::image_grid(Tensor<std::uint8_t, 4>{{{{1, 2, 3}}}}, {}, {}, {.scale = 1});
    CHECK(count_of(color, {1, 2, 3}) == 1);
    CHECK(io::image_grid(zeros<std::uint8_t>(Shape{1, 28, 28})).dim(1) == 32 + 3 * 28);
}

TEST_CASE("image grid: what does not fit together is refused") {
    CHECK(test::message_of<ShapeError>([] {
              io::image_grid(zeros<std::uint8_t>(Shape{1, 2, 2, 2}));
          }) == "image_grid: images must be [N, H, W, C] with 1 or 3 channels but are [1, 2, 2, 2]");
    CHECK(test::message_of<ValueError>([] {
              io::image_grid(zeros<std::uint8_t>(Shape{2, 2, 2}), {"one"}, {});
          }) == "image_grid: labels and marks must have 2 entries or none but have 1 and 0");
    CHECK(test::message_of<ValueError>([] {
              io::image_grid(zeros<std::uint8_t>(Shape{2, 2, 2}), {}, {}, {.columns = 0});
          }) == "image_grid: columns must be positive and scale not negative but are 0 and 0");
}
