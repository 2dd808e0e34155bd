#pragma once
// The thread that ties a tensor to its gradient. Core only carries it; autograd/ gives it meaning.
#include <lamina/core/dtype.hpp>
#include <lamina/core/storage.hpp>

namespace lamina::inline LAMINA_ABI {

/// Where the gradient of a tensor gathers: a dense row-major buffer over the tensor's shape, whatever its strides.
struct GradSlot : RefCounted {
    GradSlot(DType type, Index elements, std::uint64_t recorded_by) : dtype(type), numel(elements), tape(recorded_by) {}
    DType dtype;
    Index numel;
    std::uint64_t tape;     ///< serial of the tape whose node made the tensor; 0 for a leaf
    Ref<Storage> gradient;  ///< null until a first contribution arrives
    bool retained = false;  ///< keep the gradient of a recorded tensor after its op has passed it on
    bool is_leaf() const { return tape == 0; }
};

/// Null for a tensor that needs no gradient.
using GradLink = Ref<GradSlot>;

}  // namespace lamina::inline LAMINA_ABI
