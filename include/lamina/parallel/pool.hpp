#pragma once
// The thread pool: fork-join over numbered chunks of work. The caller works too and never waits for a worker that has
// not begun, so a late worker (busy machine, more threads than processors) costs nothing.
#include <lamina/core/error.hpp>
#include <lamina/parallel/system.hpp>

#include <exception>

namespace lamina::inline LAMINA_ABI::parallel {

/// Most threads that set_num_threads accepts; more are cut down to it.
inline constexpr int max_threads = 512;

namespace detail {

// One 64-bit word says whether a job is open and who is in it; a worker enters by compare-and-swap on it, which fails
// once the caller has closed the job. Low to high: workers inside (16), threads wanted (14), the caller sleeps until
// the last worker leaves (1), open (1), number of the job (32).
using Gate = std::uint64_t;
inline constexpr Gate inside_mask = 0xffff, caller_sleeps = Gate(1) << 30, is_open = Gate(1) << 31;
inline constexpr int wanted_shift = 16, epoch_shift = 32;
constexpr std::uint32_t epoch_of(Gate gate) { return std::uint32_t(gate >> epoch_shift); }
constexpr bool invites(Gate gate, int id, std::uint32_t last_epoch) {
    return (gate & is_open) && epoch_of(gate) != last_epoch && id < int((gate >> wanted_shift) & 0x3fff);
}

using ChunkFunction = void (*)(void* context, Index chunk);

// Chunks that one thread takes first (neighbouring calls then meet the same memory in the same cache), and where the
// thread sleeps. Each has its own cache lines.
struct alignas(64) Seat {
    Index next = 0, end = 0;
    pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
    bool asleep = false;
};

// Constant-initialised and never destroyed: workers may outlive the static objects of the program.
struct alignas(64) Pool {
    Gate gate = 0;
    alignas(64) int sleepers = 0;
    alignas(64) bool busy = false;
    int threads = 0, processors = 0, started = 1;
    bool watches_fork = false;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t all_left = PTHREAD_COND_INITIALIZER;
    // The job, written by the caller while the gate is closed.
    ChunkFunction call = nullptr;
    void* context = nullptr;
    int participants = 0;
    Index failed_chunk = 0;
    std::exception_ptr* failure = nullptr;
    Seat seats[max_threads];
};
inline constinit Pool pool{};

// Number of this thread within the pool (0: not one of its workers), and whether it is inside a task.
inline constinit thread_local int this_thread = 0;
inline constinit thread_local bool inside_task = false;

struct Lock {
    Lock() { pthread_mutex_lock(&pool.mutex); }
    ~Lock() { pthread_mutex_unlock(&pool.mutex); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
};

// Long enough to bridge the pause between two ops, too short to be seen on a busy machine.
inline constexpr std::int64_t spin_nanoseconds = 50'000;

// Looks at `done` until it holds or the time is over. With more threads than processors waiting takes the processor
// from somebody who could work, so that it gives up at once.
template <class Done>
bool spin_until(Done done) {
    if (__atomic_load_n(&pool.threads, __ATOMIC_RELAXED) > __atomic_load_n(&pool.processors, __ATOMIC_RELAXED))
        return done();
    for (std::int64_t start = 0;;) {
        for (int i = 0; i < 32; ++i) {
            if (done()) return true;
            system::relax();
        }
        const std::int64_t now = system::now();
        if (start == 0) start = now;
        else if (now - start > spin_nanoseconds) return false;
    }
}

inline void run_chunk(Index chunk) {
#if defined(__cpp_exceptions)
    // A chunk behind a failed one is left out; one before it must still run, since its exception would come first.
    if (chunk > __atomic_load_n(&pool.failed_chunk, __ATOMIC_RELAXED)) return;
    try {
        pool.call(pool.context, chunk);
    } catch (...) {
        Lock lock;
        if (chunk < pool.failed_chunk) {
            __atomic_store_n(&pool.failed_chunk, chunk, __ATOMIC_RELAXED);
            *pool.failure = std::current_exception();
        }
    }
#else
    pool.call(pool.context, chunk);
#endif
}

// Takes the chunks of the own seat, then what is left at the others.
inline void run_chunks(int first_seat) {
    const int participants = pool.participants;
    for (int k = 0; k < participants; ++k) {
        Seat& seat = pool.seats[first_seat + k < participants ? first_seat + k : first_seat + k - participants];
        while (__atomic_load_n(&seat.next, __ATOMIC_RELAXED) < seat.end) {
            const Index chunk = __atomic_fetch_add(&seat.next, 1, __ATOMIC_RELAXED);
            if (chunk < seat.end) run_chunk(chunk);
        }
    }
}

// Enters the open job of another number than `last_epoch`; returns the number of the job.
inline std::uint32_t enter(int id, std::uint32_t last_epoch) {
    Seat& seat = pool.seats[id];
    for (;;) {
        Gate gate = 0;
        const auto invited = [&] {
            gate = __atomic_load_n(&pool.gate, __ATOMIC_ACQUIRE);
            return invites(gate, id, last_epoch);
        };
        if (!spin_until(invited)) {
            Lock lock;
            seat.asleep = true;
            __atomic_fetch_add(&pool.sleepers, 1, __ATOMIC_SEQ_CST);
            // A caller opens the gate, then looks for sleepers; here the order is the reverse: one sees the other.
            while (gate = __atomic_load_n(&pool.gate, __ATOMIC_SEQ_CST), !invites(gate, id, last_epoch))
                pthread_cond_wait(&seat.wake, &pool.mutex);
            __atomic_fetch_sub(&pool.sleepers, 1, __ATOMIC_RELAXED);
            seat.asleep = false;
        }
        while (invites(gate, id, last_epoch))
            if (__atomic_compare_exchange_n(&pool.gate, &gate, gate + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return epoch_of(gate);
    }
}

inline void leave() {
    const Gate gate = __atomic_sub_fetch(&pool.gate, 1, __ATOMIC_ACQ_REL);
    if ((gate & inside_mask) == 0 && (gate & caller_sleeps)) {
        Lock lock;
        pthread_cond_signal(&pool.all_left);
    }
}

[[noreturn]] inline void* work(void* seat) {
    this_thread = int(static_cast<Seat*>(seat) - pool.seats);
    inside_task = true;
    for (std::uint32_t epoch = 0;;) {
        epoch = enter(this_thread, epoch);
        run_chunks(this_thread);
        leave();
    }
}

// The child of a fork has only the thread that forked: forget the workers, they start again with the next job.
inline void forget_workers() {
    pool.mutex = PTHREAD_MUTEX_INITIALIZER;
    pool.all_left = PTHREAD_COND_INITIALIZER;
    for (int id = 1; id < pool.started; ++id) pool.seats[id] = Seat{};
    pool.gate = 0;
    pool.sleepers = 0;
    pool.started = 1;
    pool.busy = false;
}

// Makes the first `count` seats have their threads; returns how many have one (the system may refuse).
LAMINA_NOINLINE inline int start_workers(int count) {
    if (!pool.watches_fork) {
        pool.watches_fork = true;
        pthread_atfork([] { pthread_mutex_lock(&pool.mutex); }, [] { pthread_mutex_unlock(&pool.mutex); },
                       forget_workers);
    }
    Lock lock;
    while (pool.started < count && system::start_thread(work, &pool.seats[pool.started])) ++pool.started;
    return pool.started < count ? pool.started : count;
}

LAMINA_NOINLINE inline int default_threads() {
    const int processors = system::usable_processors();
    const char* wish = getenv("LAMINA_NUM_THREADS");
    const int wished = wish ? atoi(wish) : 0;
    const int threads = wished > 0 ? wished : processors;
    __atomic_store_n(&pool.processors, processors, __ATOMIC_RELAXED);
    int unset = 0;
    __atomic_compare_exchange_n(&pool.threads, &unset, threads < max_threads ? threads : max_threads, false,
                                __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return unset ? unset : threads < max_threads ? threads : max_threads;
}

// Opens the gate, works, and waits for those who came; the caller holds `busy`.
inline void fork_join(Index chunks, int participants) {
    const Index share = chunks / participants, rest = chunks % participants;
    for (Index t = 0, begin = 0; t < participants; ++t) {
        Seat& seat = pool.seats[t];
        seat.next = begin;
        seat.end = begin += share + (t < rest);
    }
    const Gate epoch = epoch_of(__atomic_load_n(&pool.gate, __ATOMIC_RELAXED)) + 1u;
    __atomic_store_n(&pool.gate, epoch << epoch_shift | is_open | Gate(participants) << wanted_shift, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool.sleepers, __ATOMIC_SEQ_CST) > 0) {
        Lock lock;
        for (int id = 1; id < participants; ++id)
            if (pool.seats[id].asleep) pthread_cond_signal(&pool.seats[id].wake);
    }
    run_chunks(0);
    __atomic_fetch_and(&pool.gate, ~is_open, __ATOMIC_ACQ_REL);
    const auto empty = [] { return (__atomic_load_n(&pool.gate, __ATOMIC_ACQUIRE) & inside_mask) == 0; };
    if (!spin_until(empty)) {
        Lock lock;
        __atomic_fetch_or(&pool.gate, caller_sleeps, __ATOMIC_ACQ_REL);
        while (!empty()) pthread_cond_wait(&pool.all_left, &pool.mutex);
    }
}

}  // namespace detail

/// Threads that a call may use, the caller among them. At first the environment variable LAMINA_NUM_THREADS, or else
/// the processors this process may use (affinity and control group are heeded).
inline int num_threads() {
    const int threads = __atomic_load_n(&detail::pool.threads, __ATOMIC_RELAXED);
    return threads ? threads : detail::default_threads();
}

/// Sets num_threads() for all calls that begin later, on every thread. Results do not depend on it.
/// Throws ValueError below 1.
inline void set_num_threads(int threads) {
    require<ValueError>(threads >= 1, "set_num_threads: the number must be at least 1 but is ", threads);
    num_threads();  // reads the number of processors
    __atomic_store_n(&detail::pool.threads, threads < max_threads ? threads : max_threads, __ATOMIC_RELAXED);
}

/// Number of the running thread in [0, num_threads()): 0 in the caller, another for each worker of one call.
inline int thread_index() { return detail::this_thread; }

/// Is this a task already, so that a parallel loop would run inline?
inline bool in_task() { return detail::inside_task; }

/// Calls `call(context, chunk)` for every chunk in [0, chunks), in any order and on any thread, and returns when all
/// are done. A single chunk, and all of them inside a task or while another thread of the program uses the pool, are
/// plain calls of the caller in order.
/// The exception of the first chunk that fails, in the order of chunks, reaches the caller.
[[gnu::noinline]] inline void run(Index chunks, void (*call)(void* context, Index chunk), void* context) {
    using detail::pool;
    int participants = num_threads();
    if (participants > chunks) participants = int(chunks);
    if (participants <= 1 || detail::inside_task || __atomic_exchange_n(&pool.busy, true, __ATOMIC_ACQUIRE)) {
        for (Index chunk = 0; chunk < chunks; ++chunk) call(context, chunk);
        return;
    }
    if (pool.started < participants) participants = detail::start_workers(participants);
    std::exception_ptr failure;
    pool.call = call;
    pool.context = context;
    pool.participants = participants;
    pool.failed_chunk = chunks;
    pool.failure = &failure;
    detail::inside_task = true;
    detail::fork_join(chunks, participants);
    detail::inside_task = false;
    __atomic_store_n(&pool.busy, false, __ATOMIC_RELEASE);
#if defined(__cpp_exceptions)
    if (failure) [[unlikely]]
        std::rethrow_exception(static_cast<std::exception_ptr&&>(failure));
#endif
}

}  // namespace lamina::inline LAMINA_ABI::parallel
