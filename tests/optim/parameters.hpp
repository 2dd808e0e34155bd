#pragma once
// Parameters and gradients for tests of optimizers, without a network.
#include <lamina/core/any_tensor.hpp>
#include <tests/support/golden.hpp>

namespace lamina::inline LAMINA_ABI::test {

/// Gives `p` row `step` of the gradients `g` [steps, …], as a backward pass would.
inline void give_gradient(const AnyTensor& p, const AnyTensor& g, Index step = 0) {
    auto& slot = *p.grad_link();
    slot.gradient = Storage::allocate(p.bytes());
    if (p.bytes()) std::memcpy(slot.gradient->data(), g.data() + std::size_t(step) * p.bytes(), p.bytes());
}
/// A parameter with these values, of this type or the values' own.
inline AnyTensor trainable(const AnyTensor& values, DType type) {
    AnyTensor p = AnyTensor::zeros(type, values.shape());
    p.assign(values);
    p.set_grad_link(GradLink(new GradSlot(type, p.numel(), 0)));
    return p;
}
inline AnyTensor trainable(const AnyTensor& values) { return trainable(values, values.dtype()); }

/// Number of a key in the case's "hyper" object, the first of a list.
inline double hyper(const GoldenCase& c, const std::string& key, double fallback = 0) {
    const std::string text = c.meta("hyper");
    const auto at = text.find('"' + key + "\": ");
    if (at == std::string::npos) return fallback;
    const std::string value = text.substr(at + key.size() + 4);
    if (value.starts_with("true")) return 1;
    if (value.starts_with("false")) return 0;
    return std::stod(value[0] == '[' ? value.substr(1) : value);
}
inline double second_beta(const GoldenCase& c) {
    const std::string text = c.meta("hyper");
    return std::stod(text.substr(text.find(", ", text.find("\"betas\"")) + 2));
}

}  // namespace lamina::inline LAMINA_ABI::test
