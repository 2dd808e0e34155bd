#include <lamina/train/progress.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("progress: the line holds label, part, metrics, rate and time, and never more than the width") {
    const train::Progress progress("epoch 1", 200, "images", train::Progress::Output::never);
    const auto line = progress.line(100, {{"loss", 0.25}}, 100);
    CHECK(line.starts_with("epoch 1 ["));
    CHECK(line.find(" 50%  loss 0.25  ") != std::string::npos);
    CHECK(line.find("images/s") != std::string::npos);
    CHECK(line.ends_with("s left"));
    CHECK(progress.line(200, {}, 100).find("100%") != std::string::npos);
    for (int width : {10, 30, 60, 200})
        CHECK(int(progress.line(50, {{"loss", 1}, {"accuracy", 0.5}}, width).size()) < width);
}
