#pragma once
/// Pooling over windows: maximum and average.
#include <lamina/kernels/avg_pool.hpp>
#include <lamina/kernels/max_pool.hpp>
