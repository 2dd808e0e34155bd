#pragma once
// Data-parallel training by several processes, all of it. Needs an MPI (Debian: libopenmpi-dev).
#include <lamina/distributed/broadcast.hpp>
#include <lamina/distributed/reducer.hpp>
#include <lamina/distributed/session.hpp>
/// With `LoaderOptions::rank` and `ranks` of data/loader.hpp each process sees its share of the samples.
