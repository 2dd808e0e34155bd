// How much memory each contestant of a row takes, measured in a process of its own.
#include "memory.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace peers {
namespace {

/// A number of kilobytes from the kernel's account of this process.
double status(const char* key) {
    double kilobytes = 0;
    if (std::FILE* file = std::fopen("/proc/self/status", "r")) {
        for (char line[256]; std::fgets(line, sizeof line, file);)
            if (std::strncmp(line, key, std::strlen(key)) == 0) kilobytes = std::atof(line + std::strlen(key));
        std::fclose(file);
    }
    return kilobytes;
}

/// Megabytes that preparing and running `contestant` adds at most to what is there, or less than 0 when it fails.
double peak_of(const Contestant& contestant) {
    int ends[2];
    if (::pipe(ends) != 0) return -1;
    const pid_t child = ::fork();
    if (child == 0) {
        const double before = status("VmRSS:");
        const Call call = contestant.prepare();
        for (int i = 0; i < 3; ++i) call.run();
        const double peak = (status("VmHWM:") - before) / 1024;
        const auto written = ::write(ends[1], &peak, sizeof peak);
        ::_exit(written == sizeof peak ? 0 : 1);
    }
    ::close(ends[1]);
    double peak = -1;
    if (::read(ends[0], &peak, sizeof peak) != sizeof peak) peak = -1;
    ::close(ends[0]);
    if (child > 0) ::waitpid(child, nullptr, 0);
    return peak;
}

}  // namespace

void print_memory(const Row& row) {
    std::printf("%s\n", row.name.c_str());
    for (const auto& contestant : row.contestants())
        std::printf("  %8.1f MB  %s, %s\n", peak_of(contestant), contestant.library.c_str(),
                    contestant.variant.c_str());
    std::fflush(stdout);
}

}  // namespace peers
