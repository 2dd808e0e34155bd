// How much memory each contestant of a row takes, measured in a process of its own.
#include "memory.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
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

/// What a child tells: at most so many megabytes are added to what is there by preparing and running a contestant.
struct Report {
    double peak = -1;
    char name[120] = "";
};

/// The report about contestant `i` of the row, from a process that has run nothing else; no name when there is none.
Report report_of(const Row& row, std::size_t i) {
    Report report;
    int ends[2];
    if (::pipe(ends) != 0) return report;
    const pid_t child = ::fork();
    if (child == 0) {
        if (const auto all = row.contestants(); i < all.size()) {
            std::snprintf(report.name, sizeof report.name, "%s, %s", all[i].library.c_str(), all[i].variant.c_str());
            const double before = status("VmRSS:");
            const Call call = all[i].prepare();
            for (int run = 0; run < 3; ++run) call.run();
            report.peak = (status("VmHWM:") - before) / 1024;
        }
        ::_exit(::write(ends[1], &report, sizeof report) == sizeof report ? 0 : 1);
    }
    ::close(ends[1]);
    if (::read(ends[0], &report, sizeof report) != sizeof report) report = {};
    ::close(ends[0]);
    if (child > 0) ::waitpid(child, nullptr, 0);
    return report;
}

}  // namespace

void print_memory(const Row& row) {
    std::printf("%s\n", row.name.c_str());
    for (std::size_t i = 0;; ++i) {
        const Report report = report_of(row, i);
        if (!*report.name) break;
        std::printf("  %8.1f MB  %s\n", report.peak, report.name);
        std::fflush(stdout);
    }
}

}  // namespace peers
