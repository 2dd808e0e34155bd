#pragma once
// Un-pooling layers.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/unpool.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Values back to where max_pool1d_with_indices took them from.
struct MaxUnpool1d {
    static constexpr std::string_view kind = "MaxUnpool1d";
    MaxUnpool1dOptions options;
    template <Real T>
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Tensor<std::int64_t, 3>& indices) const {
        return observed(*this, max_unpool1d(x, indices, options));
    }
    static void members(auto&, auto&&) {}
};

/// Values back to where max_pool2d_with_indices took them from, `MaxUnpool2d{{.kernel = 2}}(y, indices)`.
struct MaxUnpool2d {
    static constexpr std::string_view kind = "MaxUnpool2d";
    MaxUnpool2dOptions options;
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x, const Tensor<std::int64_t, 4>& indices) const {
        return observed(*this, max_unpool2d(x, indices, options));
    }
    static void members(auto&, auto&&) {}
};

/// Each pixel at the top left of a block of zeros.
struct BedOfNailsUnpool2d {
    static constexpr std::string_view kind = "BedOfNailsUnpool2d";
    Size2 factor = 2;
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, bed_of_nails_unpool2d(x, factor));
    }
    static void members(auto&, auto&&) {}
};

/// Each pixel repeated over a block.
struct NearestUnpool2d {
    static constexpr std::string_view kind = "NearestUnpool2d";
    Size2 factor = 2;
    template <Real T>
    Tensor<T, 4> operator()(const Tensor<T, 4>& x) const {
        return observed(*this, nearest_unpool2d(x, factor));
    }
    static void members(auto&, auto&&) {}
};

}  // namespace lamina::inline LAMINA_ABI::nn
