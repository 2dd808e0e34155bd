// What each of the differently compiled files computes: the same source, compiled again for every instruction set.
#include <lamina/lamina.hpp>

#include <string>

namespace {

/// Fills `out` with numbers that went through tensors of this file's own kind; returns what it was compiled into.
inline std::string compute(double* out) {
    const auto x = lamina::arange<float>(0, 64);
    for (int i = 0; i < 64; ++i) out[i] = x.data()[i];
    return std::string(lamina::build_info());
}

}  // namespace
