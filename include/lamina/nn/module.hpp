#pragma once
// What makes a struct a module: `static void members(auto& self, auto&& visit)` that names its members. Parameters,
// state dicts, freezing and counting all follow from that one walk.
#include <lamina/autograd/parameter.hpp>
#include <lamina/autograd/tape.hpp>

#include <optional>

namespace lamina::inline LAMINA_ABI::nn {

/// A struct with the static function `members`.
template <class M>
concept Module = requires(M& module) {
    std::remove_cvref_t<M>::members(module, [](std::string_view, auto&) {});
};

namespace detail {

template <class X>
inline constexpr bool is_tensor_member = false;
template <class T, int R>
inline constexpr bool is_tensor_member<Parameter<T, R>> = true;
template <class T, int R>
inline constexpr bool is_tensor_member<Buffer<T, R>> = true;
template <class X>
inline constexpr bool is_parameter = false;
template <class T, int R>
inline constexpr bool is_parameter<Parameter<T, R>> = true;
template <class X>
inline constexpr bool is_optional = false;
template <class X>
inline constexpr bool is_optional<std::optional<X>> = true;

inline std::string joined(std::string_view prefix, std::string_view name) {
    std::string out(prefix);
    if (!prefix.empty()) out += '.';
    return out += name;
}

/// Calls on_tensor(name, tensor) and on_module(name, module) for everything below `member`, in order.
template <class M, class OnTensor, class OnModule>
void walk(const std::string& name, M& member, OnTensor& on_tensor, OnModule& on_module) {
    using Plain = std::remove_const_t<M>;
    if constexpr (is_tensor_member<Plain>) {
        on_tensor(name, member);
    } else if constexpr (is_optional<Plain>) {
        if (member) walk(name, *member, on_tensor, on_module);
    } else if constexpr (Module<Plain>) {
        on_module(name, member);
        Plain::members(
            member, [&](std::string_view part, auto& inner) { walk(joined(name, part), inner, on_tensor, on_module); });
    } else if constexpr (requires { member.begin(), member.size(); }) {  // a list of modules: names are indices
        std::size_t i = 0;
        for (auto& inner : member) walk(joined(name, message(Index(i++))), inner, on_tensor, on_module);
    } else {
        static_assert(Module<Plain>,
                      "members() may visit parameters, buffers, modules, and optionals or lists of them");
    }
}

}  // namespace detail

/// Calls f(name, tensor) for every Parameter and Buffer of `module`, by PyTorch's names, in order of registration.
template <Module M, class F>
void for_each_tensor(M& module, F&& f) {
    auto ignore = [](const std::string&, auto&) {};
    detail::walk(std::string(), module, f, ignore);
}
/// Calls f(name, module) for `module` (name "") and every module inside it.
template <Module M, class F>
void for_each_module(M& module, F&& f) {
    auto ignore = [](const std::string&, auto&) {};
    detail::walk(std::string(), module, ignore, f);
}

/// The parameters that learn, with their names; handles that share elements and gradients with the module.
template <Module M>
std::vector<NamedTensor> parameters(const M& module) {
    std::vector<NamedTensor> out;
    for_each_tensor(module, [&](const std::string& name, const auto& tensor) {
        if constexpr (detail::is_parameter<std::remove_cvref_t<decltype(tensor)>>)
            if (tensor.grad_link()) out.push_back({name, AnyTensor(tensor)});
    });
    return out;
}

/// Number of elements in all parameters, frozen ones included.
template <Module M>
Index count_parameters(const M& module) {
    Index count = 0;
    for_each_tensor(module, [&](const std::string&, const auto& tensor) {
        if constexpr (detail::is_parameter<std::remove_cvref_t<decltype(tensor)>>) count += tensor.numel();
    });
    return count;
}

/// Parameters and buffers by name; shares their elements with the module.
template <Module M>
StateDict state_dict(const M& module) {
    StateDict out;
    for_each_tensor(module, [&](const std::string& name, const auto& tensor) { out.insert(name, AnyTensor(tensor)); });
    return out;
}

/// How load_state_dict treats differences.
struct LoadOptions {
    bool strict = true;       ///< throw for missing and unexpected names
    std::string prefix = {};  ///< read only the names that begin so, without it
};

/// Copies the tensors of `state` into the parameters and buffers of the same names. Throws ValueError that lists every
/// missing, unexpected and mismatched name at once; then nothing has been changed.
template <Module M>
void load_state_dict(M& module, const StateDict& state, const LoadOptions& options = {}) {
    std::string problems;
    std::vector<std::string> known;
    const auto describe = [&](const auto&... parts) { problems += message("\n  ", parts...); };
    for_each_tensor(module, [&](const std::string& name, auto& tensor) {
        const AnyTensor* source = state.find(options.prefix + name);
        const AnyTensor target(tensor);
        if (source) known.push_back(name);
        if (!source && options.strict) describe("missing ", name, " ", target.shape_text());
        else if (source && source->shape() != target.shape())
            describe("mismatched ", name, ": ", source->shape_text(), " given, ", target.shape_text(), " needed");
    });
    if (options.strict)
        for (const auto& [name, tensor] : state) {
            const std::string_view full = name;
            if (!full.starts_with(options.prefix)) continue;
            if (std::find(known.begin(), known.end(), full.substr(options.prefix.size())) == known.end())
                describe("unexpected ", full, " ", tensor.shape_text());
        }
    require<ValueError>(problems.empty(), "load_state_dict: names and shapes must match:", problems);
    for_each_tensor(module, [&](const std::string& name, auto& tensor) {
        if (const AnyTensor* source = state.find(options.prefix + name)) AnyTensor(tensor).assign(*source);
    });
}

/// Takes `module` out of training: its parameters get no gradients, its normalisation layers keep their statistics.
template <Module M>
void freeze(M& module) {
    for_each_tensor(module, [](const std::string&, auto& tensor) { tensor.set_grad_link(GradLink()); });
}
/// Undoes `freeze`. The parameters get new gradient slots: an optimizer has to be made after it.
template <Module M>
void unfreeze(M& module) {
    for_each_tensor(module, [](const std::string&, auto& tensor) {
        if constexpr (detail::is_parameter<std::remove_cvref_t<decltype(tensor)>>)
            if (!tensor.grad_link()) autograd::require_grad(tensor);
    });
}
/// Forgets all gradients gathered for `module`.
template <Module M>
void zero_grad(M& module) {
    for_each_tensor(module, [](const std::string&, auto& tensor) { autograd::zero_grad(tensor); });
}

}  // namespace lamina::inline LAMINA_ABI::nn
