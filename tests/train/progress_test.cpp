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
    train::Progress timed("epoch 1", 200, "images", train::Progress::Output::never);
    timed.set_total(400);  // the estimate was too low
    CHECK(timed.line(100, {}, 100).find(" 25%") != std::string::npos);
    CHECK(timed.line(400, {}, 100).find("100%") != std::string::npos);
}

TEST_CASE("progress: times that one waits for") {
    using train::Progress;
    CHECK(Progress::duration(0) == "0 s");
    CHECK(Progress::duration(99.4) == "99 s");
    CHECK(Progress::duration(99.6) == "1:40 min");
    CHECK(Progress::duration(125) == "2:05 min");
    CHECK(Progress::duration(3 * 3600 + 7 * 60) == "3:07 h");
}

TEST_CASE("progress: silent when standard error is no terminal, drawn when asked") {
    // Standard error goes into a pipe for the time of the test.
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const int kept = ::dup(2);
    ::dup2(ends[1], 2);
    {
        train::Progress quiet("quiet", 10);
        quiet.update(10);
    }
    {
        train::Progress loud("loud", 10, "steps", train::Progress::Output::always);
        loud.update(5, {{"loss", 1.5}});
        loud.update(10);
    }
    ::dup2(kept, 2);
    ::close(kept);
    ::close(ends[1]);
    char text[4096] = {};
    const auto length = ::read(ends[0], text, sizeof text - 1);
    ::close(ends[0]);
    const std::string_view drawn(text, length > 0 ? std::size_t(length) : 0);
    CHECK(drawn.starts_with("\rloud ["));
    CHECK(drawn.find("loss 1.5") != drawn.npos);
    CHECK(drawn.ends_with("\n"));
    CHECK(drawn.find("quiet") == drawn.npos);
}
