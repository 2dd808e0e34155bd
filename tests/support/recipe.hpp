#pragma once
// The weights that golden cases of whole models are computed with: a function of a tensor's name and an element's
// index, so that no file has to hold them (see the README of the golden cases).
#include <lamina/core/any_tensor.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::test {

/// Element `i` of the pseudo-random numbers of `name`, in [-1, 1).
inline double recipe_number(std::string_view name, Index i) {
    std::uint64_t z = 0xCBF29CE484222325u;
    for (char c : name) z = (z ^ std::uint64_t(static_cast<unsigned char>(c))) * 0x100000001B3u;
    z += std::uint64_t(i) + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z = z ^ (z >> 31);
    return 2 * (double(z >> 40) * 0x1p-24) - 1;
}

/// Fills a floating tensor by the recipe; integers become 0.
inline void fill_by_recipe(std::string_view name, AnyTensor tensor, double gain) {
    const auto& shape = tensor.shape();
    Index fan_in = 1;
    for (std::size_t d = 1; d < shape.size(); ++d) fan_in *= shape[d];
    double centre = 0, spread = 0.1;
    if (shape.size() >= 2) spread = gain * std::sqrt(3.0 / double(fan_in));
    else if (name.ends_with("running_var")) centre = 1, spread = 0.5;
    else if (name.ends_with("weight") || name.ends_with("gamma")) centre = 1, spread = 0.25;
    const auto fill = [&]<class T>(T* x) {
        for (Index i = 0, n = tensor.numel(); i < n; ++i) x[i] = T(float(centre + spread * recipe_number(name, i)));
    };
    std::byte* const data = tensor.mutable_data();
    if (tensor.dtype() == DType::f32) fill(reinterpret_cast<float*>(data));
    else if (tensor.dtype() == DType::f64) fill(reinterpret_cast<double*>(data));
    else std::memset(data, 0, tensor.bytes());
}

/// Fills every tensor of a module's state dict: `fill_by_recipe(nn::state_dict(net), c.number("recipe_gain", 1))`.
inline void fill_by_recipe(const StateDict& state, double gain) {
    for (const auto& [name, tensor] : state) fill_by_recipe(name, tensor, gain);
}

}  // namespace lamina::inline LAMINA_ABI::test
