#pragma once
// What the thread pool asks of the operating system: processors, time, threads, fork. POSIX; C headers and compiler
// builtins instead of <thread>, <mutex> and <atomic>, because every op includes this and they cost a second to read.
#include <lamina/core/index.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

namespace lamina::inline LAMINA_ABI::parallel::system {

/// Tells the processor that this thread is waiting in a loop.
LAMINA_INLINE void relax() {
#if defined(LAMINA_ISA_SSE2)
    __builtin_ia32_pause();
#elif defined(LAMINA_ISA_NEON64)
    asm volatile("yield");
#endif
}

/// Nanoseconds of a clock that never runs backwards.
inline std::int64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

/// Processors' worth of time that the control group allows this process; 0 when there is no limit to be read.
inline int processor_quota() {
    char text[64] = {};
    const int file = open("/sys/fs/cgroup/cpu.max", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    const auto length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return 0;
    char* end = text;
    const long long quota = strtoll(text, &end, 10), period = strtoll(end, nullptr, 10);
    return quota > 0 && period > 0 ? int((quota + period - 1) / period) : 0;
}

/// Processors that this process may use: its affinity mask, cut by the control group's quota; at least 1.
inline int usable_processors() {
    int count = 0;
#if defined(__linux__)
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = CPU_COUNT(&mask);
#endif
    if (count <= 0) count = int(sysconf(_SC_NPROCESSORS_ONLN));
    if (const int quota = processor_quota(); quota > 0 && quota < count) count = quota;
    return count > 0 ? count : 1;
}

/// Starts a detached thread that takes no signals, so that handlers run on the program's own threads.
inline bool start_thread(void* (*entry)(void*), void* argument) {
    constexpr std::size_t stack_bytes = 4 << 20;  // some systems give secondary threads no more than 128 KB
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const bool started = pthread_create(&thread, &attributes, entry, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    return started;
}

}  // namespace lamina::inline LAMINA_ABI::parallel::system
