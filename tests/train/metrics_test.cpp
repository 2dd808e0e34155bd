#include <lamina/train/early_stopping.hpp>
#include <lamina/train/metrics_log.hpp>
#include <lamina/train/metrics_plot.hpp>
#include <lamina/train/smoothed.hpp>
#include <tests/io/files.hpp>

#include <doctest/doctest.h>

using namespace lamina;

TEST_CASE("MetricsLog: rows, empty cells, continuing a run, and its errors") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "run.csv";
    {
        train::MetricsLog log(path, {"loss", "accuracy"});
        log.write(0, {{"loss", 0.5}});
        log.write(10, {{"accuracy", 0.25}, {"loss", 0.1}});
        CHECK(test::read_file(path) == "step,loss,accuracy\n0,0.5,\n10,0.1,0.25\n");
        log.write(20, {{"loss", -1e-300}});
        CHECK(test::message_of<ValueError>([&] {
                  log.write(30, {{"speed", 1}});
              }) == "MetricsLog: there must be a column speed among the 2 of \"" + path + "\"");
    }
    test::write_file(path, test::read_file(path) + "25,0.0");  // a crash in the middle of a line
    {
        train::MetricsLog log(path, {"loss", "accuracy"}, 20);
        REQUIRE(log.rows().size() == 2);
        CHECK(log.rows()[1].step == 10);
        CHECK(log.rows()[1].values[0] == 0.1);
        CHECK(std::isnan(log.rows()[0].values[1]));
        log.write(20, {{"loss", 0.05}});
    }
    CHECK(test::read_file(path) == "step,loss,accuracy\n0,0.5,\n10,0.1,0.25\n20,0.05,\n");
    CHECK(test::message_of<IoError>([&] { train::MetricsLog(path, {"loss"}, 5); }) ==
          "MetricsLog: \"" + path + "\" must begin with the columns step,loss");
    CHECK(test::read_file(path).size() == 47);
    train::MetricsLog fresh(path, {"a"});
    CHECK(test::read_file(path) == "step,a\n");
    CHECK(test::message_of<ValueError>([&] {
              train::MetricsLog(path, {"a", "b,c"});
          }) == "MetricsLog: a column's name must have no comma, quotation mark or line's end but is b,c");
    {
        // What a double can be comes back from the file.
        const std::vector<double> all{1 / 3.0, -0.0, 5e-324, 1.7976931348623157e308, INFINITY, -INFINITY, NAN};
        train::MetricsLog log(path, {"x"});
        for (std::size_t i = 0; i < all.size(); ++i) log.write(Index(i), {{"x", all[i]}});
        const train::MetricsLog again(path, {"x"}, 100);
        REQUIRE(again.rows().size() == all.size());
        for (std::size_t i = 0; i < all.size(); ++i)
            CHECK(
                (again.rows()[i].values[0] == all[i] || (std::isnan(all[i]) && std::isnan(again.rows()[i].values[0]))));
    }
    CHECK(test::message_of<IoError>([&] { train::MetricsLog("/nowhere/run.csv", {"a"}); }) ==
          "MetricsLog: \"/nowhere/run.csv\" must be writable");
}

TEST_CASE("plot_metrics: a picture with the curves") {
    const test::TemporaryFolder folder;
    train::MetricsLog log(folder / "run.csv", {"loss", "accuracy"});
    for (Index i = 0; i < 50; ++i) log.write(i, {{"loss", 1.0 / double(i + 1)}, {"accuracy", double(i) / 50}});
    train::plot_metrics(folder / "both.png", log);
    train::plot_metrics(folder / "loss.png", log, "loss only", {"loss"});
    const std::string both = test::read_file(folder / "both.png"), one = test::read_file(folder / "loss.png");
    CHECK(both.starts_with("\x89PNG"));
    CHECK(both != one);
    CHECK(test::message_of<ValueError>([&] { train::plot_metrics(folder / "x.png", log, "", {"speed"}); }) ==
          "plot_metrics: there must be a column speed");
}

TEST_CASE("Smoothed: a constant stays, the past fades") {
    train::Smoothed mean(0.5);
    CHECK(mean.value() == 0);
    CHECK(mean(3) == 3);
    CHECK(mean(3) == 3);
    CHECK(mean(10) == doctest::Approx((10 + 1.5 + 0.75) / 1.75));
    CHECK(test::message_of<ValueError>([] { train::Smoothed(1); }) == "Smoothed: decay must lie in [0, 1) but is 1");
}

TEST_CASE("EarlyStopping: patience, least improvement, direction, state") {
    train::EarlyStopping stopping({.patience = 2, .least_improvement = 0.1});
    CHECK_FALSE(stopping.step(1));
    CHECK(stopping.improved());
    CHECK_FALSE(stopping.step(0.95));
    CHECK_FALSE(stopping.improved());
    CHECK_FALSE(stopping.step(NAN));
    train::EarlyStopping resumed({.patience = 2, .least_improvement = 0.1});
    resumed.load_state_dict(stopping.state_dict());
    CHECK(stopping.step(0.92));
    CHECK(resumed.step(0.92));
    CHECK(resumed.best() == 1);
    CHECK_FALSE(stopping.step(0.5));
    train::EarlyStopping up({.patience = 0, .larger_is_better = true});
    CHECK_FALSE(up.step(-5));
    CHECK_FALSE(up.step(-4));
    CHECK(up.step(-4));
    CHECK(test::message_of<ValueError>([] { train::EarlyStopping({.patience = -1}); }) ==
          "EarlyStopping: patience must not be negative but is -1");
}
