#pragma once
// Patches as columns and back, as layers.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/fold.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// [N, C, H, W] to [N, C Kh Kw, places] (torch.nn.Unfold).
struct Unfold {
    static constexpr std::string_view kind = "Unfold";
    Size2 kernel;
    UnfoldOptions options{};

    template <Real T>
    Tensor<T, 3> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, unfold(x, kernel, options));
    }
    static void members(auto&, auto&&) {}
};

/// [N, C Kh Kw, places] to [N, C, H, W] of `size`, overlaps added (torch.nn.Fold).
struct Fold {
    static constexpr std::string_view kind = "Fold";
    Size2 size, kernel;
    UnfoldOptions options{};

    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 3>& x) const {
        return observed(*this, fold(x, size, kernel, options));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
