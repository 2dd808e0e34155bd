#pragma once
// What the races of oneDNN share: its engine, arrays as memory objects, and calls of primitives.
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "peers.hpp"

namespace peers::onednn {

using dnnl::algorithm;
using dnnl::memory;
using Tag = memory::format_tag;
inline constexpr auto f32 = memory::data_type::f32;
inline constexpr auto inference = dnnl::prop_kind::forward_inference;
using Arguments = std::unordered_map<int, memory>;

inline const dnnl::engine& engine() {
    static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}

inline dnnl::stream& stream() {
    static dnnl::stream s(engine());
    return s;
}

inline memory wrap(const memory::desc& desc, const Array<float>& a) { return {desc, engine(), a.data()}; }

inline memory::desc plain(const memory::dims& dims, Tag tag) { return {dims, f32, tag}; }

/// A copy of `source` in the layout that a primitive chose.
inline memory reordered(memory source, const memory::desc& wanted) {
    memory target(wanted, engine());
    dnnl::reorder(source, target).execute(stream(), source, target);
    stream().wait();
    return target;
}

/// Runs `primitive`; the result is read from `y`.
inline Call call(dnnl::primitive primitive, Arguments arguments, Array<float> y) {
    return {[=] {
                primitive.execute(stream(), arguments);
                stream().wait();
            },
            [=](Index i) { return double(y[i]); }};
}

}  // namespace peers::onednn
