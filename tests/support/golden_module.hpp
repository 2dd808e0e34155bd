#pragma once
// Golden cases of whole modules: the gradients of all parameters at once.
#include <lamina/nn/module.hpp>
#include <tests/support/golden.hpp>

#include <functional>

namespace lamina::inline LAMINA_ABI::test {

/// Compares the gradient of every parameter with the case's one of that name, or of the name that `rename` makes of it.
template <class M, class Rename = std::identity>
void check_golden_parameters(const GoldenCase& c, const M& module, const Rename& rename = {}) {
    nn::for_each_tensor(module, [&](const std::string& name, const auto& p) {
        check_golden_grad(c, "param." + rename(name), autograd::grad(p));
    });
}

}  // namespace lamina::inline LAMINA_ABI::test
