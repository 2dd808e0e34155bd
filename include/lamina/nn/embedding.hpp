#pragma once
// A table of learned vectors, looked up by index.
#include <lamina/nn/init.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/embedding.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Options of Embedding.
struct EmbeddingConfig {
    Index padding_idx = -1;  ///< this row stays zero and gets no gradient; -1: none
};

/// Rows of `weight` [count, width] for indices [...]: [..., width]; the name is torch.nn.Embedding's.
template <Real T = float>
struct Embedding {
    static constexpr std::string_view kind = "Embedding";
    EmbeddingConfig options;
    Parameter<T, 2> weight;

    /// Zeros; `reset` draws initial values.
    Embedding(Index count, Index width, const EmbeddingConfig& config = {})
        : options(config),
          weight(Shape{count, width}) {}
    /// Standard normal, but for the padding row.
    void reset(random::Rng& rng) {
        normal_(weight, rng);
        if (options.padding_idx >= 0) view::select<T, 2>(weight, 0, options.padding_idx).fill(T(0));
    }
    template <int R>
    Tensor<T, R + 1> operator()(const Tensor<std::int64_t, R>& index) const {
        return observed(*this, embedding(index, weight, options.padding_idx));
    }
    static void members(auto& self, auto&& visit) { visit("weight", self.weight); }
};

}  // namespace lamina::inline LAMINA_ABI::nn
