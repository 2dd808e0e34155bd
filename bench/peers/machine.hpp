#pragma once
// The machine as a contestant: the fastest we know to do a row's floating-point operations from registers, or to stream
// its arrays through the core with no arithmetic at all. Timed among the others, so a share of peak is a share of what
// the machine gave in the same minute.
#include <string>

#include "harness.hpp"

namespace peers::machine {

Contestants contestants(const Limit& limit, int threads);

/// Processors this process may run on.
int processors();
std::string cpu_name();

/// One line per peak at 1 and at all threads: GFLOP/s in float and double; GB/s reading, copying with ordinary and
/// with non-temporal stores, and updating in place, on arrays beyond the caches.
std::string peaks();

}  // namespace peers::machine
