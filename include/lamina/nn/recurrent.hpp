#pragma once
// Recurrent layers, LSTM and GRU, by PyTorch's names: stacked, in both directions, with or without biases. The products
// with the inputs of all steps are one; what remains in a step is the product with the state and two pointwise loops.
// S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", 1997; K. Cho et al., EMNLP 2014.
#include <lamina/nn/init.hpp>
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/concat.hpp>
#include <lamina/ops/dropout.hpp>
#include <lamina/ops/linear.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/slice.hpp>

#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace lamina::inline LAMINA_ABI {

namespace kernels {

/// sigmoid(f) c + sigmoid(i) tanh(g).
struct LstmCell {
    static constexpr const char* name = "lstm_cell";
    template <class V>
    LAMINA_INLINE V operator()(V i, V f, V g, V c) const {
        return sigmoid(f) * c + sigmoid(i) * tanh(g);
    }
};
/// sigmoid(o) tanh(c).
struct LstmOutput {
    static constexpr const char* name = "lstm_output";
    template <class V>
    LAMINA_INLINE V operator()(V o, V c) const {
        return sigmoid(o) * tanh(c);
    }
};
/// (1 - z) n + z h with r and z sigmoids and n = tanh(x + r u).
struct GruCell {
    static constexpr const char* name = "gru_cell";
    template <class V>
    LAMINA_INLINE V operator()(V r, V z, V x, V u, V h) const {
        const V n = tanh(x + sigmoid(r) * u);
        return n + sigmoid(z) * (h - n);
    }
};

}  // namespace kernels

namespace nn {

/// Options of LSTM and GRU.
struct RecurrentConfig {
    Index layers = 1;
    bool bias = true;
    bool batch_first = false;  ///< [N, L, …] instead of [L, N, …]
    double dropout = 0;        ///< of what one layer hands to the next
    bool bidirectional = false;
};

namespace detail {

/// The parameters of one layer in one direction.
template <Real T>
struct RecurrentWeights {
    Parameter<T, 2> weight_ih, weight_hh;             ///< [gates hidden, in], [gates hidden, hidden]
    std::optional<Parameter<T, 1>> bias_ih, bias_hh;  ///< [gates hidden]

    RecurrentWeights(Index in, Index hidden, Index gates, bool bias)
        : weight_ih(Shape{gates * hidden, in}),
          weight_hh(Shape{gates * hidden, hidden}) {
        if (!bias) return;
        bias_ih.emplace(Shape{gates * hidden});
        bias_hh.emplace(Shape{gates * hidden});
    }
};

struct LstmRule {
    static constexpr Index gates = 4;  ///< input, forget, cell, output
    static constexpr int states = 2;   ///< hidden, cell
    template <class T>
    static void step(const Tensor<T, 2>& x, const Tensor<T, 2>& u, std::array<Tensor<T, 2>, 2>& state) {
        const Index h = u.dim(1) / gates;
        const auto sum = x + u;
        const auto gate = [&](Index i) { return slice(sum, 1, i * h, (i + 1) * h); };
        state[1] = map(kernels::LstmCell{}, gate(0), gate(1), gate(2), state[1]);
        state[0] = map(kernels::LstmOutput{}, gate(3), state[1]);
    }
};
struct GruRule {
    static constexpr Index gates = 3;  ///< reset, update, new
    static constexpr int states = 1;   ///< hidden
    template <class T>
    static void step(const Tensor<T, 2>& x, const Tensor<T, 2>& u, std::array<Tensor<T, 2>, 1>& state) {
        const Index h = u.dim(1) / gates;
        const auto both = slice(x, 1, 0, 2 * h) + slice(u, 1, 0, 2 * h);
        state[0] = map(kernels::GruCell{}, slice(both, 1, 0, h), slice(both, 1, h, 2 * h), slice(x, 1, 2 * h, 3 * h),
                       slice(u, 1, 2 * h, 3 * h), state[0]);
    }
};

/// What LSTM and GRU share.
template <Real T, class Rule>
struct Recurrent {
    /// Of every layer and direction [layers * directions, N, hidden]: what is handed on (and, for LSTM, the cells).
    using State = std::array<Tensor<T, 3>, std::size_t(Rule::states)>;
    /// The last layer's rows [L, N, directions * hidden] (or [N, L, …]) and the state behind the last step.
    struct Result {
        Tensor<T, 3> output;
        State state;
    };

    RecurrentConfig options;
    Index hidden;
    std::vector<RecurrentWeights<T>> weights;  ///< of layer 0 forwards, layer 0 backwards (if there), layer 1 …

    /// Throws ValueError without layers or hidden features.
    Recurrent(const char* kind, Index in, Index width, const RecurrentConfig& config) : options(config), hidden(width) {
        require<ValueError>(config.layers >= 1 && width >= 1, kind,
                            ": layers and hidden features must be at least 1 but are ", config.layers, " and ", width);
        for (Index i = 0; i < config.layers * directions(); ++i)
            weights.emplace_back(i < directions() ? in : width * directions(), width, Rule::gates, config.bias);
    }
    Index directions() const { return options.bidirectional ? 2 : 1; }

    /// Uniform in ±1/sqrt(hidden).
    void reset(random::Rng& rng) {
        const double bound = 1 / std::sqrt(double(hidden));
        for (auto& w : weights) {
            uniform_(w.weight_ih, rng, -bound, bound);
            uniform_(w.weight_hh, rng, -bound, bound);
            if (w.bias_ih) uniform_(*w.bias_ih, rng, -bound, bound);
            if (w.bias_hh) uniform_(*w.bias_hh, rng, -bound, bound);
        }
    }
    static void members(auto& self, auto&& visit) {
        for (std::size_t i = 0; i < self.weights.size(); ++i) {
            const Index layer = Index(i) / self.directions();
            const std::string end =
                "_l" + std::to_string(layer) + (Index(i) % self.directions() == 0 ? "" : "_reverse");
            visit("weight_ih" + end, self.weights[i].weight_ih);
            visit("weight_hh" + end, self.weights[i].weight_hh);
            visit("bias_ih" + end, self.weights[i].bias_ih);
            visit("bias_hh" + end, self.weights[i].bias_hh);
        }
    }

protected:
    Result run(const char* kind, const Tensor<T, 3>& input, const State& start) const {
        auto x = options.batch_first ? transpose(input, 0, 1) : input;
        const Index n = x.dim(1);
        require(x.dim(0) >= 1 && x.dim(2) == weights[0].weight_ih.dim(1), kind, ": the input must have steps of ",
                weights[0].weight_ih.dim(1), " features but has shape ", input.shape());
        const Shape<3> all{Index(weights.size()), n, hidden};
        for (const auto& s : start)
            require(!s.defined() || s.shape() == all, kind, ": the state must be ", all, " but is ", s.shape());
        std::vector<Tensor<T, 2>> last[Rule::states];
        for (std::size_t i = 0; i < weights.size();) {
            std::vector<Tensor<T, 3>> found;
            for (Index d = 0; d < directions(); ++d, ++i) {
                std::array<Tensor<T, 2>, std::size_t(Rule::states)> state;
                for (std::size_t k = 0; k < state.size(); ++k)
                    state[k] = start[k].defined() ? select(start[k], 0, Index(i)) : zeros<T>(Shape{n, hidden});
                found.push_back(sweep(weights[i], x, d == 1, state));
                for (std::size_t k = 0; k < state.size(); ++k) last[k].push_back(state[k]);
            }
            x = found.size() == 1 ? found[0] : cat(found, 2);
            if (i < weights.size()) x = dropout(x, options.dropout);
        }
        Result result;
        for (std::size_t k = 0; k < result.state.size(); ++k) result.state[k] = stack(last[k], 0);
        result.output = options.batch_first ? transpose(x, 0, 1) : x;
        return result;
    }

private:
    /// All steps of one layer in one direction; leaves the last state in `state`.
    static Tensor<T, 3> sweep(const RecurrentWeights<T>& w, const Tensor<T, 3>& x, bool backwards,
                              std::array<Tensor<T, 2>, std::size_t(Rule::states)>& state) {
        const auto inputs = linear(x, w.weight_ih, w.bias_ih);
        const Index steps = x.dim(0);
        std::vector<Tensor<T, 2>> rows(static_cast<std::size_t>(steps));
        for (Index i = 0; i < steps; ++i) {
            const Index t = backwards ? steps - 1 - i : i;
            Rule::step(select(inputs, 0, t), linear(state[0], w.weight_hh, w.bias_hh), state);
            rows[std::size_t(t)] = state[0];
        }
        return stack(rows, 0);
    }
};

}  // namespace detail

/// Long short-term memory; names, gates (input, forget, cell, output) and initial distribution are torch.nn.LSTM's.
/// `auto [y, state] = lstm(x)` with x [L, N, in]; state[0] is handed on, state[1] holds the cells.
template <Real T = float>
struct LSTM : detail::Recurrent<T, detail::LstmRule> {
    static constexpr std::string_view kind = "LSTM";
    using Base = detail::Recurrent<T, detail::LstmRule>;

    LSTM(Index in, Index hidden, const RecurrentConfig& config = {}) : Base("LSTM", in, hidden, config) {}
    /// From zeros, or from the state of an earlier call. Throws ShapeError.
    typename Base::Result operator()(const Tensor<T, 3>& x, const typename Base::State& state = {}) const {
        return Base::run("LSTM", x, state);
    }
};

/// Gated recurrent unit; names, gates (reset, update, new) and initial distribution are torch.nn.GRU's.
/// `auto [y, state] = gru(x)` with x [L, N, in]; state[0] is what is handed on.
template <Real T = float>
struct GRU : detail::Recurrent<T, detail::GruRule> {
    static constexpr std::string_view kind = "GRU";
    using Base = detail::Recurrent<T, detail::GruRule>;

    GRU(Index in, Index hidden, const RecurrentConfig& config = {}) : Base("GRU", in, hidden, config) {}
    /// From zeros, or from the state of an earlier call. Throws ShapeError.
    typename Base::Result operator()(const Tensor<T, 3>& x, const typename Base::State& state = {}) const {
        return Base::run("GRU", x, state);
    }
};

}  // namespace nn

}  // namespace lamina::inline LAMINA_ABI
