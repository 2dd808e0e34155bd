#pragma once
// Which kernel a convolution runs on.
#include <lamina/core/abi.hpp>

namespace lamina::inline LAMINA_ABI {

/// How a convolution is computed. Winograd's transforms take far fewer multiplications for 3x3 kernels; of the two
/// tiles 2x2 is a little more exact than the plain sum, 4x4 about half as exact (see kernels/conv/winograd).
enum class ConvAlgorithm {
    automatic,   ///< whichever is fastest for the sizes
    direct,      ///< the plain sum, whatever the sizes
    winograd_2,  ///< Winograd's F(2x2, 3x3) where it applies
    winograd_4,  ///< Winograd's F(4x4, 3x3) where it applies
};

}  // namespace lamina::inline LAMINA_ABI
