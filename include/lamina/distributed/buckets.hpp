#pragma once
// Which gradients travel together: a message for each would pay the network's latency for each.
#include <lamina/core/any_tensor.hpp>

namespace lamina::inline LAMINA_ABI::distributed {

/// Gradients of one element type that lie one behind the other in one message.
struct Bucket {
    DType type = DType::f32;
    Index count = 0;             ///< elements of all of them
    std::vector<Index> members;  ///< which parameters, last first
};

/// Packs parameters, last first as backward reaches them, into buckets of at most `bytes`; a larger one has a bucket
/// for itself. Throws ValueError for bytes < 1 and for parameters whose gradients are not float or double, GradError
/// for those without a gradient slot.
inline std::vector<Bucket> plan_buckets(const std::vector<NamedTensor>& parameters, Index bytes) {
    require<ValueError>(bytes >= 1, "plan_buckets: bytes must be at least 1 but is ", bytes);
    std::vector<Bucket> buckets;
    for (Index i = Index(parameters.size()); i-- > 0;) {
        const auto& [name, tensor] = parameters[std::size_t(i)];
        require<GradError>(bool(tensor.grad_link()), "plan_buckets: parameter ", name, " must have a gradient slot");
        const DType type = tensor.grad_link()->dtype;
        require<ValueError>(type == DType::f32 || type == DType::f64, "plan_buckets: the gradient of ", name,
                            " must be float or double but is ", name_of(type));
        const Index limit = bytes / Index(size_of(type));
        if (buckets.empty() || buckets.back().type != type || buckets.back().count + tensor.numel() > limit)
            buckets.push_back({type, 0, {}});
        buckets.back().members.push_back(i);
        buckets.back().count += tensor.numel();
    }
    return buckets;
}

}  // namespace lamina::inline LAMINA_ABI::distributed
