#pragma once
// Local response normalisation across channels.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/local_response_norm.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// `LocalResponseNorm{{.size = 5}}`; options are those of the op.
struct LocalResponseNorm {
    static constexpr std::string_view kind = "LocalResponseNorm";
    LocalResponseNormOptions options;
    template <Real T, int R>
    Tensor<T, R> operator()(const Tensor<T, R>& x) const {
        return observed(*this, local_response_norm(x, options));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
