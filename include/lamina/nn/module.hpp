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
    /// Beginnings of names, in the file (without the prefix) and in the module: {{"bert.", "encoder."}}. The first pair
    /// that fits a name counts.
    std::vector<std::pair<std::string, std::string>> rename = {};
};

/// Names that load_state_dict found on one side only.
struct LoadResult {
    std::vector<std::string> missing;     ///< by the module's names
    std::vector<std::string> unexpected;  ///< by the file's names
};

namespace detail {

/// The tensors of a file under the prefix, by the module's names.
inline std::vector<NamedTensor> renamed(const StateDict& state, const LoadOptions& options) {
    std::vector<NamedTensor> out;
    for (const auto& [full, tensor] : state) {
        if (!full.starts_with(options.prefix)) continue;
        std::string name = full.substr(options.prefix.size());
        for (const auto& [from, to] : options.rename) {
            if (!name.starts_with(from)) continue;
            name.replace(0, from.size(), to);
            break;
        }
        out.push_back({std::move(name), tensor});
    }
    return out;
}
inline bool can_assign(DType to, DType from) {
    const auto floating = [](DType type) {
        return type == DType::f32 || type == DType::f64 || type == DType::f16 || type == DType::bf16;
    };
    return to == from || (floating(to) && floating(from));
}

}  // namespace detail

namespace detail {

inline LoadResult load_tensors(std::vector<NamedTensor> targets, const StateDict& state, const LoadOptions& options) {
    const std::vector<NamedTensor> given = renamed(state, options);
    std::vector<bool> used(given.size(), false);
    std::vector<const AnyTensor*> sources;
    LoadResult result;
    std::string problems;
    const auto describe = [&](const auto&... parts) { problems += message("\n  ", parts...); };
    for (const auto& [name, target] : targets) {
        const AnyTensor* source = nullptr;
        for (std::size_t i = 0; i < given.size() && !source; ++i)
            if (given[i].name == name) {
                used[i] = true;
                source = &given[i].tensor;
            }
        sources.push_back(source);
        if (!source) {
            result.missing.push_back(name);
            if (options.strict) describe("missing ", name, " ", target.shape_text());
        } else if (source->shape() != target.shape()) {
            describe("mismatched ", name, ": ", source->shape_text(), " given, ", target.shape_text(), " needed");
        } else if (!can_assign(target.dtype(), source->dtype())) {
            describe("mismatched ", name, ": ", name_of(source->dtype()), " given, ", name_of(target.dtype()),
                     " needed");
        }
    }
    std::size_t i = 0;
    for (const auto& [full, tensor] : state) {
        if (!full.starts_with(options.prefix) || used[i++]) continue;
        result.unexpected.push_back(full);
        if (options.strict) describe("unexpected ", full, " ", tensor.shape_text());
    }
    require<ValueError>(problems.empty(), "load_state_dict: names and shapes must match:", problems);
    for (std::size_t t = 0; t < targets.size(); ++t)
        if (sources[t]) targets[t].tensor.assign(*sources[t]);
    return result;
}

}  // namespace detail

/// Copies the tensors of `state` into the parameters and buffers of the same names and returns the names that were on
/// one side only. Throws ValueError that lists every mismatched shape and type and, when strict, every missing and
/// unexpected name at once; then nothing has been changed.
template <Module M>
LoadResult load_state_dict(M& module, const StateDict& state, const LoadOptions& options = {}) {
    std::vector<NamedTensor> targets;
    for_each_tensor(module, [&](const std::string& name, auto& tensor) {
        targets.push_back({name, AnyTensor(tensor)});
    });
    return detail::load_tensors(std::move(targets), state, options);
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
