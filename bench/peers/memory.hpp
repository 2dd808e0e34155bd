#pragma once
// How much memory each contestant of a row takes.
#include "harness.hpp"

namespace peers {

/// Prints by how much preparing each contestant and running it three times enlarges a process, over the inputs. Call it
/// before anything has started threads: each runs in a child of this process.
void print_memory(const Row& row);

}  // namespace peers
