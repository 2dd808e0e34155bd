#include <tests/io/files.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <chrono>
#include <csignal>

using namespace lamina;

namespace {

constexpr Index elements = 1 << 19;

StateDict filled(std::int64_t value) {
    StateDict state;
    state.insert("w", full<std::int64_t>(Shape{elements}, value));
    return state;
}

/// The one value in the file, or -1 when it is not the same everywhere.
std::int64_t value_in(const std::string& path) {
    const auto w = io::load_safetensors(path)["w"].as<std::int64_t, 1>();
    for (Index i = 0; i < elements; ++i)
        if (w.data()[i] != w.data()[0]) return -1;
    return w.numel() == elements ? w.data()[0] : -1;
}

/// Runs `f` in a child process, which must not return from it through doctest.
template <class F>
::pid_t in_child(F&& f) {
    const ::pid_t child = ::fork();
    if (child == 0) ::_exit(f());
    return child;
}

}  // namespace

TEST_CASE("atomic file: nothing is visible before the commit, and nothing is left without one") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x";
    test::write_file(path, "old");
    {
        io::AtomicFile file("test", path);
        file.write("new contents");
        CHECK(test::read_file(path) == "old");
        CHECK(folder.files() == std::vector<std::string>{"x", "x.partial"});
    }
    CHECK(folder.files() == std::vector<std::string>{"x"});
    CHECK(test::read_file(path) == "old");
    io::AtomicFile file("test", path);
    const std::string large(100'000, 'l');
    file.write("small ");
    file.write(large);
    file.write(" end");
    file.commit();
    CHECK(test::read_file(path) == "small " + large + " end");
    CHECK(folder.files() == std::vector<std::string>{"x"});
}

TEST_CASE("atomic file: what a killed writer left is taken over") {
    const test::TemporaryFolder folder;
    test::write_file(folder / "x.partial", std::string(1000, 'j'));
    io::AtomicFile file("test", folder / "x");
    file.write("short");
    file.commit();
    CHECK(test::read_file(folder / "x") == "short");
    CHECK(folder.files() == std::vector<std::string>{"x"});
}

TEST_CASE("atomic file: permissions of the old file stay, and a symbolic link keeps pointing") {
    const test::TemporaryFolder folder;
    test::write_file(folder / "x", "old");
    REQUIRE(::chmod((folder / "x").c_str(), 0640) == 0);
    REQUIRE(::symlink("x", (folder / "link").c_str()) == 0);
    io::AtomicFile file("test", folder / "link");
    file.write("new");
    file.commit();
    struct ::stat info {};
    REQUIRE(::lstat((folder / "link").c_str(), &info) == 0);
    CHECK(S_ISLNK(info.st_mode));
    REQUIRE(::stat((folder / "x").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0640);
    CHECK(test::read_file(folder / "x") == "new");
}

TEST_CASE("atomic file: a disk that takes no more leaves the old file and an IoError") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x";
    io::save_safetensors(path, filled(1));
    const ::pid_t child = in_child([&] {
        std::signal(SIGXFSZ, SIG_IGN);
        const ::rlimit limit{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const std::string expected = "save_safetensors: \"" + path + "\" must be writable (File too large)";
        return test::message_of<IoError>([&] { io::save_safetensors(path, filled(2)); }) == expected ? 0 : 1;
    });
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(value_in(path) == 1);
    CHECK(folder.files() == std::vector<std::string>{"x"});
}

TEST_CASE("atomic file: a writer killed at any moment leaves the old file or the new one") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x";
    const auto start = std::chrono::steady_clock::now();
    io::save_safetensors(path, filled(0));
    const auto one_save =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
    test::Dice dice{7};
    std::int64_t least = 0;
    int torn = 0, interrupted = 0, advanced = 0;
    for (int round = 0; round < 60; ++round) {
        const ::pid_t child = in_child([&] {
            for (std::int64_t value = least + 1;; ++value) io::save_safetensors(path, filled(value));
            return 0;
        });
        ::usleep(::useconds_t(dice.below(std::size_t(3 * one_save.count()) + 1000)));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        interrupted += folder.files().size() == 2;
        const std::int64_t value = value_in(path);
        torn += value < least;
        advanced += value > least;
        least = std::max(least, value);
    }
    CHECK(torn == 0);
    CHECK(interrupted > 0);
    CHECK(advanced > 0);
    io::save_safetensors(path, filled(-7));
    CHECK(value_in(path) == -7);
    CHECK(folder.files() == std::vector<std::string>{"x"});
}

TEST_CASE("atomic file: writers of one path take turns") {
    const test::TemporaryFolder folder;
    const std::string path = folder / "x";
    ::pid_t children[3];
    for (std::int64_t k = 0; k < 3; ++k)
        children[k] = in_child([&] {
            for (int i = 0; i < 5; ++i) io::save_safetensors(path, filled(k));
            return 0;
        });
    for (const ::pid_t child : children) {
        int status = 1;
        ::waitpid(child, &status, 0);
        CHECK(status == 0);
    }
    const std::int64_t value = value_in(path);
    CHECK(value >= 0);
    CHECK(value < 3);
    CHECK(folder.files() == std::vector<std::string>{"x"});
}
