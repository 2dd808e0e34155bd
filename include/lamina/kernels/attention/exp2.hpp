#pragma once
// The exponential of attention: base 2, for arguments that are never far above 0, where a weight too small to matter
// may as well be 0. That spares the general function's clamp and its care for subnormal results.
#include <lamina/simd/math/exp.hpp>
#include <lamina/simd/math/log.hpp>

namespace lamina::inline LAMINA_ABI::kernels::detail {

/// 2^x for finite x below 127, or NaN; at most 2 ULP off, 0 where the result would be subnormal.
template <class T, class Arch>
LAMINA_INLINE simd::Vec<T, Arch> weight_exp2(simd::Vec<T, Arch> x) {
    using V = simd::Vec<T, Arch>;
    if constexpr (sizeof(T) == 8) {
        return simd::exp2(x);
    } else {
        constexpr float c[] = {0.6931471880f, 0.2402265076f, 0.0555035711f,
                               0.0096180826f, 0.0013390864f, 0.0001545316f};
        constexpr bool scales = Arch::bytes == 64;  // an instruction that takes any exponent
        if constexpr (scales) {
            const V n = round(x), r = x - n;
            return simd::raw::scale(fma(simd::raw::polynomial(r, c), r, V(T(1))), n);
        } else {
            // At the lower end the exponent's bits are all 0, and so is the power.
            const V inside = max(V(T(-127)), x), magic = simd::raw::FloatFormat<T>::magic;
            const V t = inside + magic, r = inside - (t - magic);
            return fma(simd::raw::polynomial(r, c), r, V(T(1))) * simd::raw::power_of_two(t);
        }
    }
}

}  // namespace lamina::inline LAMINA_ABI::kernels::detail
