#pragma once
// The few sizes that decide how streaming kernels touch memory and share work, in one place.
#include <lamina/core/index.hpp>

namespace lamina::inline LAMINA_ABI::kernels {

/// Outputs of at least this many bytes go around the caches: they would evict their own inputs before anyone reads
/// them.
inline constexpr Index stream_threshold_bytes = Index(4) << 20;
/// Elements in one task of a pointwise loop: far above the cost of handing out a task, and its operands fit L2.
inline constexpr Index pointwise_grain = 16384;

}  // namespace lamina::inline LAMINA_ABI::kernels
