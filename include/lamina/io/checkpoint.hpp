#pragma once
// A training run in one file: model, optimizer, schedule, generator, counters; written so that a crash at any moment
// leaves a run that can be resumed, bit for bit.
#include <lamina/io/safetensors.hpp>
#include <lamina/nn/module.hpp>
#include <lamina/random/rng.hpp>

namespace lamina::inline LAMINA_ABI::io {

/// A part of a checkpoint: a module, a generator, a number, or anything with state_dict and load_state_dict, such as
/// an optimizer, under the name that its tensors have in the file.
template <class X>
struct Part {
    std::string_view name;
    X& object;
};
/// `io::save_checkpoint(path, io::part("model", net), io::part("optimizer", adam), io::part("step", step))`.
template <class X>
Part<X> part(std::string_view name, X& object) {
    return {name, object};
}

namespace detail {

template <class X>
StateDict part_state(const X& object) {
    if constexpr (nn::Module<X>) {
        return nn::state_dict(object);
    } else if constexpr (std::is_same_v<X, random::Rng>) {
        StateDict out;
        out.insert("seed", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(object.seed()))));
        out.insert("stream", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(object.stream()))));
        return out;
    } else if constexpr (std::is_arithmetic_v<X>) {
        using Stored = std::conditional_t<std::is_floating_point_v<X>, double, std::int64_t>;
        StateDict out;
        out.insert("value", AnyTensor(Tensor<Stored, 0>(Stored(object))));
        return out;
    } else {
        return object.state_dict();
    }
}
template <class X>
void load_part(X& object, const StateDict& state) {
    if constexpr (nn::Module<X>) {
        nn::load_state_dict(object, state);
    } else if constexpr (std::is_same_v<X, random::Rng>) {
        object = random::Rng(std::uint64_t(state["seed"].as<std::int64_t, 0>().item()),
                             std::uint64_t(state["stream"].as<std::int64_t, 0>().item()));
    } else if constexpr (std::is_arithmetic_v<X>) {
        using Stored = std::conditional_t<std::is_floating_point_v<X>, double, std::int64_t>;
        object = X(state["value"].as<Stored, 0>().item());
    } else {
        object.load_state_dict(state);
    }
}
inline void append_part(std::vector<NamedTensor>& all, std::string_view name, const StateDict& state) {
    for (const auto& [inner, tensor] : state) all.push_back({message(name, "/", inner), tensor});
}
/// The tensors of one part, by their names in it.
inline StateDict extract_part(const StateDict& all, std::string_view name) {
    const std::string prefix = message(name, "/");
    std::vector<NamedTensor> items;
    for (const auto& [full, tensor] : all)
        if (full.starts_with(prefix)) items.push_back({full.substr(prefix.size()), tensor});
    return StateDict::of_distinct(std::move(items));
}

}  // namespace detail

/// Writes all parts to one safetensors file (`model/fc.weight`, `optimizer/state.fc.weight.exp_avg`, …) such that a
/// crash at any moment leaves the old file or the new one. Throws IoError, and ValueError for parts of one name or with
/// a / in it, which could not be told apart.
template <class... X>
void save_checkpoint(const std::string& path, const Part<X>&... parts) {
    const std::string_view names[] = {parts.name...};
    for (std::size_t i = 0; i < sizeof...(X); ++i) {
        require<ValueError>(names[i].find('/') == std::string_view::npos,
                            "save_checkpoint: the name of a part must have no / but is ", names[i]);
        for (std::size_t j = 0; j < i; ++j)
            require<ValueError>(names[i] != names[j], "save_checkpoint: parts must have different names but two are ",
                                names[i]);
    }
    std::vector<NamedTensor> all;
    (detail::append_part(all, parts.name, detail::part_state(std::as_const(parts.object))), ...);
    save_safetensors(path, StateDict::of_distinct(std::move(all)));
}

/// Sets all parts to what the file holds. Throws IoError for the file, ValueError for a part that does not fit; parts
/// before that one have been set.
template <class... X>
void load_checkpoint(const std::string& path, const Part<X>&... parts) {
    const StateDict all = read_safetensors(path).tensors;
    (detail::load_part(parts.object, detail::extract_part(all, parts.name)), ...);
}

}  // namespace lamina::inline LAMINA_ABI::io
