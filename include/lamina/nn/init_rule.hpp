#pragma once
// One scheme for all weights of a model: by layer, or by the names of its parameters.
#include <lamina/core/view.hpp>
#include <lamina/nn/init_gain.hpp>
#include <lamina/nn/init_orthogonal.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// How weights of two and more dimensions begin. Made by the functions of nn::rule, and changed as one likes:
/// `auto rule = nn::rule::kaiming(); rule.embedding = 0.02;`
struct InitRule {
    enum class Shape { uniform, normal, truncated, orthogonal };
    enum class Fan { in, out, average, none };
    Shape shape = Shape::normal;
    Fan fan = Fan::in;
    double gain = 1;       ///< standard deviation gain / sqrt(fan); the deviation itself where fan is none
    double bias = 0;       ///< every bias of such a layer
    double embedding = 1;  ///< standard deviation of tables of vectors

    /// Draws a weight.
    template <Real T, int R>
    void draw(Tensor<T, R>& weight, random::Rng& rng) const {
        if (shape == Shape::orthogonal) return init::orthogonal(weight, rng, gain);
        double size = 1;
        if (fan != Fan::none) {
            const auto [in, out] = init::fans(weight.shape());
            size = fan == Fan::in ? double(in) : fan == Fan::out ? double(out) : (double(in) + double(out)) / 2;
        }
        if (size == 0 || gain == 0) return weight.fill(T(0));
        const double std = gain / std::sqrt(size);
        if (shape == Shape::uniform) uniform_(weight, rng, -std::sqrt(3.0) * std, std::sqrt(3.0) * std);
        else if (shape == Shape::normal) normal_(weight, rng, 0, std);
        else trunc_normal_corrected_(weight, rng, std);
    }
};

/// Rules by their usual names. All draw normal numbers; `.shape` chooses another distribution of the same variance.
namespace rule {

/// Variance 1 / fan_in.
inline InitRule lecun() { return {}; }
/// Variance gain² / fan_in, for relu by default.
inline InitRule kaiming(double gain = init::gain::relu) { return {.gain = gain}; }
/// Variance gain² 2 / (fan_in + fan_out).
inline InitRule xavier(double gain = 1) { return {.fan = InitRule::Fan::average, .gain = gain}; }
inline InitRule orthogonal(double gain = 1) { return {.shape = InitRule::Shape::orthogonal, .gain = gain}; }
/// One standard deviation for weights and tables, as GPT-2's 0.02.
inline InitRule normal(double std = 0.02) { return {.fan = InitRule::Fan::none, .gain = std, .embedding = std}; }
/// The same, cut at two deviations and corrected for the cut, as BERT's 0.02.
inline InitRule truncated(double std = 0.02) {
    return {.shape = InitRule::Shape::truncated, .fan = InitRule::Fan::none, .gain = std, .embedding = std};
}

}  // namespace rule

namespace detail {

/// Calls f(name, parameter) for the parameters that `layer` owns itself.
template <class Layer, class F>
void for_each_own_parameter(Layer& layer, F&& f) {
    std::remove_const_t<Layer>::members(layer, [&]<class X>(std::string_view name, X& member) {
        if constexpr (is_parameter<std::remove_const_t<X>>) f(name, member);
        else if constexpr (is_optional<std::remove_const_t<X>>)
            if constexpr (is_parameter<typename std::remove_const_t<X>::value_type>)
                if (member) f(name, *member);
    });
}

}  // namespace detail

/// Initialises every layer of `module`: after its `reset` its weights of two and more dimensions by `rule`, the biases
/// beside them by the rule's constant, tables of vectors by its deviation. Other layers, such as normalisations, are
/// left as `reset` sets them.
template <Module M>
void initialize(M& module, random::Rng& rng, const InitRule& rule) {
    for_each_module(module, [&]<class Layer>(const std::string&, Layer& layer) {
        if constexpr (requires { layer.reset(rng); }) layer.reset(rng);
        constexpr bool is_table = requires { layer.options.padding_idx; };
        bool has_weights = false;
        detail::for_each_own_parameter(layer, [&]<class P>(std::string_view, P& parameter) {
            if constexpr (P::rank >= 2) {
                has_weights = true;
                if constexpr (is_table) normal_(parameter, rng, 0, rule.embedding);
                else rule.draw(parameter, rng);
            }
        });
        detail::for_each_own_parameter(layer, [&]<class P>(std::string_view name, P& parameter) {
            using T = typename P::value_type;
            if constexpr (P::rank == 1)
                if (has_weights && name.find("bias") != name.npos) parameter.fill(T(rule.bias));
        });
        if constexpr (is_table)
            if (layer.options.padding_idx >= 0) view::select(layer.weight, 0, layer.options.padding_idx).fill(0);
    });
}

/// Calls `set(name, parameter)` for every parameter of `module` by its full name: for schemes that go by names.
template <Module M, class F>
    requires requires(F f, Parameter<float, 2>& p) { f(std::string_view(), p); }
void initialize(M& module, F&& set) {
    for_each_tensor(module, [&](const std::string& name, auto& tensor) {
        if constexpr (detail::is_parameter<std::remove_cvref_t<decltype(tensor)>>) set(std::string_view(name), tensor);
    });
}

}  // namespace lamina::inline LAMINA_ABI::nn
