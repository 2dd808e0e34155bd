#pragma once
// The integer type of every extent, stride and element count.
#include <lamina/core/abi.hpp>

#include <cstddef>
#include <cstdint>

namespace lamina::inline LAMINA_ABI {

/// Signed, so that differences and loops that run downwards are right; 64 bits, so that n*c*h*w is.
using Index = std::int64_t;

}  // namespace lamina::inline LAMINA_ABI
