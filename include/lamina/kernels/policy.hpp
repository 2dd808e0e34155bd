#pragma once
// The few sizes that decide how streaming kernels touch memory and share work, in one place.
#include <lamina/core/index.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Outputs of at least this many bytes go around the caches when they are written in pieces far apart, whose lines
/// would otherwise be fetched first.
inline constexpr Index stream_threshold_bytes = Index(4) << 20;
/// The same for outputs written from end to end out of inputs of the same size. Smaller ones stay in the last-level
/// cache together: the next reader finds them, and threads together write it several times as fast as memory.
inline constexpr Index dense_stream_threshold_bytes = Index(12) << 20;
/// Elements in one task of a pointwise loop: far above the cost of handing out a task, and its operands fit L2.
inline constexpr Index pointwise_grain = 16384;

}  // namespace lamina::inline LAMINA_ABI::kernels
