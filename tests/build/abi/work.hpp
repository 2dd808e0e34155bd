// What each of the differently compiled files computes: the same source, compiled again for every instruction set.
#include <lamina/lamina.hpp>

#include <string>

namespace {

/// Fills `out` [64] with values and gradients of a small network; returns what this file was compiled into.
inline std::string compute(double* out) {
    const auto x = lamina::reshape(lamina::arange<float>(32), lamina::Shape{4, 8});
    lamina::Parameter<float, 2> w(lamina::full<float>(lamina::Shape{8, 8}, 0.125f));
    for (lamina::Index i = 0; i < 64; ++i) w.mutable_data()[i] -= 0.003f * float(i * 7 % 13);
    lamina::autograd::Tape tape;
    const auto y = lamina::log_softmax(lamina::tanh(lamina::matmul(x, w)), 1);
    const auto loss = lamina::mean(y * y);
    tape.backward(loss);
    const auto dw = lamina::autograd::grad(w);
    for (int i = 0; i < 32; ++i) out[i] = y.data()[i], out[i + 32] = dw.data()[2 * i];
    return std::string(lamina::build_info());
}

}  // namespace
