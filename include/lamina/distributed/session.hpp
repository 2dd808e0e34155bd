#pragma once
// The processes that run a program together, from MPI's start to its end. Needs an MPI (Debian: libopenmpi-dev).
#include <lamina/core/error.hpp>

#include <cstdio>
#if !defined(OMPI_SKIP_MPICXX)
#define OMPI_SKIP_MPICXX 1  // C++ bindings that MPI itself dropped and nobody links
#endif
#if !defined(MPICH_SKIP_MPICXX)
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

namespace lamina::inline LAMINA_ABI::distributed {

/// MPI refused, or the processes do not agree.
struct CommunicationError : Error {
    using Error::Error;
};

/// Throws CommunicationError with MPI's own words unless `code` is success.
inline void check(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    fail<CommunicationError>(call, ": ", std::string_view(text, std::size_t(length)));
}

/// MPI while it lives; one of these opens main. It calls MPI_Init and MPI_Finalize unless the program did, and talks
/// over a communicator of its own. A process that leaves by an exception takes the others along, as they would wait
/// for it forever. Without mpirun there is one process, rank 0 of 1.
class Session {
public:
    /// Throws CommunicationError when MPI was finalized before or cannot be used.
    Session() {
        int running = 0, over = 0;
        check(MPI_Initialized(&running), "MPI_Initialized");
        check(MPI_Finalized(&over), "MPI_Finalized");
        require<CommunicationError>(!over, "Session: MPI must not have been finalized before");
        if (!running) {
            int level = 0;
            check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "MPI_Init_thread");
            owner_ = true;
            require<CommunicationError>(level >= MPI_THREAD_FUNNELED, "Session: MPI must allow threads at level ",
                                        int(MPI_THREAD_FUNNELED), " but offers ", level);
        }
        check(MPI_Comm_dup(MPI_COMM_WORLD, &communicator_), "MPI_Comm_dup");
        check(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
        check(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
        check(MPI_Comm_size(communicator_, &size_), "MPI_Comm_size");
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() {
        if (std::uncaught_exceptions() > exceptions_ && size_ > 1) abort("left by an exception");
        MPI_Comm_free(&communicator_);
        if (owner_) MPI_Finalize();
    }

    /// Number of this process, from 0.
    int rank() const { return rank_; }
    /// Number of processes.
    int size() const { return size_; }
    MPI_Comm communicator() const { return communicator_; }

    /// Returns when all processes have called it.
    void barrier() const { check(MPI_Barrier(communicator_), "MPI_Barrier"); }
    /// The mean of what the processes pass, such as their losses; the same bits on each of them.
    double mean(double value) const {
        double sum = 0;
        check(MPI_Reduce(&value, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, communicator_), "MPI_Reduce");
        check(MPI_Bcast(&sum, 1, MPI_DOUBLE, 0, communicator_), "MPI_Bcast");
        return sum / size_;
    }
    /// Prints `reason` and ends all processes.
    [[noreturn]] void abort(const char* reason) const {
        std::fprintf(stderr, "rank %d of %d: %s\n", rank_, size_, reason);
        std::fflush(stderr);
        MPI_Abort(communicator_, 1);
        std::abort();
    }

private:
    bool owner_ = false;
    int rank_ = 0, size_ = 1;
    const int exceptions_ = std::uncaught_exceptions();
    MPI_Comm communicator_ = MPI_COMM_NULL;
};

/// What a main may consist of: `return distributed::run([](const Session& world) { … });`. An exception is printed with
/// its rank and ends all processes.
template <class F>
int run(F&& f) {
    const Session world;
    try {
        f(world);
    } catch (const std::exception& error) { world.abort(error.what()); }
    return 0;
}

}  // namespace lamina::inline LAMINA_ABI::distributed
