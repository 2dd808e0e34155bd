#include <lamina/io/checkpoint_folder.hpp>
#include <lamina/nn/activation.hpp>
#include <lamina/nn/batch_norm.hpp>
#include <lamina/nn/flatten.hpp>
#include <lamina/nn/linear.hpp>
#include <lamina/nn/sequential.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/random.hpp>
#include <lamina/ops/reduce.hpp>
#include <lamina/optim/adam.hpp>
#include <lamina/optim/schedule.hpp>
#include <lamina/optim/schedule_cosine.hpp>
#include <tests/io/files.hpp>

#include <sys/wait.h>

#include <doctest/doctest.h>

using namespace lamina;

namespace {

/// A small run that uses everything a checkpoint holds: running statistics, moments, a schedule, random batches.
struct Run {
    nn::Sequential<nn::BatchNorm2d<float>, nn::ReLU, nn::Flatten, nn::Linear<float>> net{
        nn::BatchNorm2d(4), nn::ReLU{}, nn::Flatten{}, nn::Linear(36, 3)};
    optim::AdamW optimizer{nn::parameters(net), {.learning_rate = 0.01, .amsgrad = true}};
    optim::Scheduler<optim::AdamW, optim::schedule::Cosine> schedule{optimizer, optim::schedule::Cosine{20}};
    random::Rng rng{5};
    Index step = 0;

    Run() {
        random::Rng initial(1);
        nn::reset_parameters(net, initial);
    }
    void train(Index until) {
        for (; step < until; ++step) {
            autograd::Tape tape;
            const auto x = randn<float>(rng, Shape{8, 4, 3, 3});
            tape.backward(mean(square(net(x) - randn<float>(rng, Shape{8, 3}))));
            optimizer.step();
            schedule.step();
        }
    }
    template <class F>
    void with_parts(F&& f) {
        f(io::part("model", net), io::part("optimizer", optimizer), io::part("schedule", schedule),
          io::part("rng", rng), io::part("step", step));
    }
    void save(const std::string& path) {
        with_parts([&](const auto&... parts) { io::save_checkpoint(path, parts...); });
    }
    void load(const std::string& path) {
        with_parts([&](const auto&... parts) { io::load_checkpoint(path, parts...); });
    }
};

/// All bytes that a run has come to.
std::string fingerprint(Run& run) {
    const test::TemporaryFolder folder;
    run.save(folder / "run.safetensors");
    return test::read_file(folder / "run.safetensors");
}

/// A model of one value in every element, so that a mixture of two checkpoints shows.
struct Flag {
    Parameter<float, 1> values{Shape{20000}};
    static void members(auto& self, auto&& visit) { visit("values", self.values); }
};

}  // namespace

TEST_CASE("checkpoint: twenty steps equal ten, saved, loaded, and ten more, bit for bit") {
    const test::TemporaryFolder folder;
    Run straight, first, second;
    straight.train(20);
    first.train(10);
    first.save(folder / "run.safetensors");
    second.train(3);  // loading must replace everything
    second.load(folder / "run.safetensors");
    CHECK(second.step == 10);
    second.train(20);
    CHECK(fingerprint(straight) == fingerprint(second));
    first.train(20);
    CHECK(fingerprint(straight) == fingerprint(first));
}

TEST_CASE("checkpoint: the second half of a run, for the case below" * doctest::skip()) {
    const char* const path = std::getenv("LAMINA_TEST_RESUME");
    REQUIRE(path);
    Run run;
    run.load(path);
    run.train(20);
    run.save(std::string(path) + ".done");
}

TEST_CASE("checkpoint: a fresh process goes on bit for bit (large)") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "run.safetensors";
    Run straight, first;
    straight.train(20);
    first.train(10);
    first.save(path);
    const ::pid_t child = ::fork();
    if (child == 0) {
        ::setenv("LAMINA_TEST_RESUME", path.c_str(), 1);
        ::execl("/proc/self/exe", "lamina-test", "--no-skip", "--test-case=checkpoint: the second half of a run*",
                "--minimal", static_cast<char*>(nullptr));
        ::_exit(127);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    CHECK(test::read_file(path + ".done") == fingerprint(straight));
}

TEST_CASE("checkpoint folder: the last and the best stay, a new program finds them") {
    const test::TemporaryFolder parent;
    const std::string path = parent / "run";
    Flag flag;
    const double scores[] = {0.5, 0.3, NAN, 0.4, 0.6, 0.7};
    io::CheckpointFolder folder(path, {.keep_last = 2});
    CHECK(folder.latest().empty());
    CHECK(folder.best().empty());
    CHECK_FALSE(folder.resume(io::part("model", flag)));
    for (Index step = 0; step < 6; ++step) {
        flag.values.fill(float(step));
        folder.save(step * 10, scores[step], io::part("model", flag));
    }
    CHECK(folder.steps() == std::vector<Index>{10, 40, 50});
    CHECK(folder.best() == path + "/step-000000010.safetensors");
    CHECK(folder.latest() == path + "/step-000000050.safetensors");
    test::write_file(path + "/step-000000060.safetensors.partial", "half a checkpoint");
    {
        const io::CheckpointFolder again(path, {.keep_last = 2});
        CHECK(again.steps() == folder.steps());
        CHECK(again.best() == folder.best());
        flag.values.fill(-1);
        CHECK(again.resume(io::part("model", flag)));
        CHECK(flag.values(7) == 5);
        io::load_checkpoint(again.best(), io::part("model", flag));
        CHECK(flag.values(7) == 1);
        CHECK(::access((path + "/step-000000060.safetensors.partial").c_str(), F_OK) != 0);
    }
    io::CheckpointFolder larger(path, {.keep_last = 1, .larger_is_better = true});
    larger.save(60, 0.1, io::part("model", flag));
    CHECK(larger.steps() == std::vector<Index>{50, 60});
    larger.save(60, 0.8, io::part("model", flag));  // takes the place of that step's
    CHECK(larger.steps() == std::vector<Index>{60});
    io::CheckpointFolder plain(path, {.keep_last = 1, .keep_best = false});
    plain.save(70, 0.9, io::part("model", flag));
    CHECK(plain.steps() == std::vector<Index>{70});
    ::unlink(plain.latest().c_str());
    ::rmdir(path.c_str());
    CHECK(test::message_of<ValueError>([&] { io::CheckpointFolder(path, {.keep_last = 0}); }) ==
          "CheckpointFolder: keep_last must be at least 1 but is 0");
    test::write_file(parent / "file", "");
    CHECK(test::message_of<IoError>([&] {
              io::CheckpointFolder(parent / "file");
          }).starts_with("CheckpointFolder: \"" + (parent / "file") + "\" must be a folder"));
}

TEST_CASE("checkpoint: what does not fit is said") {
    const test::TemporaryFolder folder;
    Flag flag;
    Index step = 3;
    double rate = 0.25;
    const std::string path = folder / "c.safetensors";
    io::save_checkpoint(path, io::part("step", step), io::part("rate", rate));
    step = 0, rate = 0;
    io::load_checkpoint(path, io::part("rate", rate), io::part("step", step));
    CHECK(step == 3);
    CHECK(rate == 0.25);
    CHECK(test::message_of<ValueError>([&] {
              io::save_checkpoint(path, io::part("step", step), io::part("rate", rate), io::part("step", rate));
          }) == "save_checkpoint: parts must have different names but two are step");
    CHECK(test::message_of<ValueError>([&] { io::save_checkpoint(path, io::part("a/b", step)); }) ==
          "save_checkpoint: the name of a part must have no / but is a/b");
    CHECK(test::message_of<ValueError>([&] { io::load_checkpoint(path, io::part("model", flag)); }) ==
          "load_state_dict: names and shapes must match:\n  missing values [20000]");
    CHECK(test::message_of<ValueError>([&] {
              io::load_checkpoint(path, io::part("rng", step));
          }).starts_with("state dict: there must be a tensor value"));
}

TEST_CASE("checkpoint: a process killed at any moment leaves one that loads (large)") {
    const test::TemporaryFolder parent;
    const std::string path = parent / "run";
    test::Dice dice{11};
    Index last = 0;
    int killed_while_writing = 0;
    for (int round = 0; round < 220; ++round) {
        const ::pid_t child = ::fork();
        if (child == 0) {
            // Nothing here may end by itself: the parent's signal must find it at work.
            io::CheckpointFolder folder(path, {.keep_last = 2, .keep_best = false});
            Flag flag;
            Index step = last;
            if (folder.resume(io::part("model", flag), io::part("step", step)) && flag.values(0) != float(step))
                ::_exit(3);
            for (;;) {
                flag.values.fill(float(++step));
                folder.save(step, 0, io::part("model", flag), io::part("step", step));
            }
        }
        ::usleep(::useconds_t(500 + dice.below(9000)));
        ::kill(child, SIGKILL);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        const std::string leftover = ".partial";
        ::DIR* const directory = ::opendir(path.c_str());
        if (!directory) continue;
        while (const ::dirent* entry = ::readdir(directory))
            killed_while_writing += std::string_view(entry->d_name).ends_with(leftover);
        ::closedir(directory);
        const io::CheckpointFolder folder(path);
        if (folder.latest().empty()) continue;
        Flag flag;
        Index step = -1;
        REQUIRE(folder.resume(io::part("model", flag), io::part("step", step)));
        REQUIRE(step >= last);
        bool whole = true;
        for (Index i = 0; i < flag.values.numel(); ++i) whole = whole && flag.values.data()[i] == float(step);
        REQUIRE(whole);
        REQUIRE(folder.steps().size() <= 3);
        last = step;
    }
    CHECK(last > 20);
    CHECK(killed_while_writing > 20);
    const io::CheckpointFolder folder(path);
    for (Index step : folder.steps()) {
        char name[48];
        std::snprintf(name, sizeof name, "/step-%09lld.safetensors", static_cast<long long>(step));
        ::unlink((path + name).c_str());
    }
    ::rmdir(path.c_str());
}
