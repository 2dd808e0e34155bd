#pragma once
// How a model's numbers look on their way forward and back, layer by layer: what an initialisation is judged by.
#include <lamina/nn/observe.hpp>
#include <lamina/ops/arithmetic.hpp>
#include <lamina/ops/random.hpp>
#include <lamina/ops/reduce.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::nn {

/// Statistics of one layer call. Gradients are NaN where none arrived.
struct ProbeRow {
    std::string name, kind, shape;
    double mean, variance;  ///< of the output
    double dead;            ///< part of the features that are 0 throughout
    double gradient_mean, gradient_variance;
};

/// What `probe` found, in order of execution.
struct ProbeTable {
    std::vector<ProbeRow> rows;
    /// A line a row, in columns.
    std::string text() const;
};

namespace detail {

/// Keeps every output until its gradient has arrived.
class ProbeObserver final : public Observer {
public:
    struct Known {
        const void* address;
        std::string_view kind;
        std::string name;
    };
    std::vector<Known> layers;
    std::vector<ProbeRow> rows;
    std::vector<AnyTensor> outputs;

    void on_output(const void* layer, std::string_view kind, const AnyTensor& output) override {
        ProbeRow row{"", std::string(kind), output.shape_text(), 0, 0, 0, 0, 0};
        for (const Known& known : layers)
            if (known.address == layer && known.kind == kind) row.name = known.name;
        if (output.grad_link()) output.grad_link()->retained = true;
        rows.push_back(std::move(row));
        outputs.push_back(output);
    }
};

struct Moments {
    double mean, variance;
};
template <class T>
Moments moments_of(const T* x, Index n) {
    double sum = 0, squares = 0;
    for (Index i = 0; i < n; ++i) sum += double(x[i]);
    const double mean = n > 0 ? sum / double(n) : 0;
    for (Index i = 0; i < n; ++i) squares += (double(x[i]) - mean) * (double(x[i]) - mean);
    return {mean, n > 0 ? squares / double(n) : 0};
}
/// Features are channels of images [N, C, …], the last dimension elsewhere.
template <class T>
double dead_features(const T* x, const AnyTensor& output) {
    const int rank = output.rank();
    if (rank == 0 || output.numel() == 0) return 0;
    const std::size_t d = rank >= 4 ? 1 : std::size_t(rank) - 1;
    const Index features = output.shape()[d];
    Index inner = 1;
    for (std::size_t i = d + 1; i < output.shape().size(); ++i) inner *= output.shape()[i];
    std::vector<bool> alive(std::size_t(features), false);
    for (Index i = 0, n = output.numel(); i < n; ++i)
        if (x[i] != T(0)) alive[std::size_t(i / inner % features)] = true;
    return 1 - double(std::count(alive.begin(), alive.end(), true)) / double(features);
}
inline void fill_statistics(ProbeRow& row, const AnyTensor& output) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    row.gradient_mean = row.gradient_variance = nan;
    const auto fill = [&]<class T>(const T* x) {
        const Moments value = moments_of(x, output.numel());
        row.mean = value.mean;
        row.variance = value.variance;
        row.dead = dead_features(x, output);
        if (const GradLink& link = output.grad_link(); link && link->gradient) {
            const Moments slope = moments_of(reinterpret_cast<const T*>(link->gradient->data()), link->numel);
            row.gradient_mean = slope.mean;
            row.gradient_variance = slope.variance;
        }
    };
    if (output.dtype() == DType::f32) fill(reinterpret_cast<const float*>(output.data()));
    else if (output.dtype() == DType::f64) fill(reinterpret_cast<const double*>(output.data()));
}

}  // namespace detail

/// Runs `model` on `input`, sends a random gradient of variance 1 (drawn from `rng`) back from its output, and returns
/// mean, variance and dead features of every layer's output, mean and variance of its gradient. The model's own
/// gradients are forgotten.
template <Module M, Element T, int R>
ProbeTable probe(const M& model, const Tensor<T, R>& input, random::Rng rng = random::Rng(0)) {
    detail::ProbeObserver observer;
    for_each_module(model, [&](const std::string& name, const auto& module) {
        using Layer = std::remove_cvref_t<decltype(module)>;
        if constexpr (requires { Layer::kind; }) observer.layers.push_back({&module, Layer::kind, name});
    });
    {
        autograd::Tape tape;
        const auto output = model(input);
        tape.backward(sum(output * randn_like(rng, output)));
    }
    for (std::size_t i = 0; i < observer.rows.size(); ++i)
        detail::fill_statistics(observer.rows[i], observer.outputs[i]);
    for_each_tensor(model, [](const std::string&, const auto& tensor) { autograd::zero_grad(tensor); });
    return {std::move(observer.rows)};
}

inline std::string ProbeTable::text() const {
    const auto number = [](double x) {
        char out[32];
        if (x != x) return std::string("-");
        std::snprintf(out, sizeof out, "%.3g", x);
        return std::string(out);
    };
    std::vector<std::vector<std::string>> cells{
        {"layer", "kind", "output", "mean", "variance", "dead", "gradient mean", "variance"}};
    for (const ProbeRow& row : rows)
        cells.push_back({row.name, row.kind, row.shape, number(row.mean), number(row.variance), number(row.dead),
                         number(row.gradient_mean), number(row.gradient_variance)});
    std::string out;
    for (const auto& line : cells) {
        for (std::size_t c = 0; c < line.size(); ++c) {
            std::size_t width = 0;
            for (const auto& other : cells) width = std::max(width, other[c].size());
            const std::string gap(width - line[c].size(), ' ');
            const std::string cell = c < 3 ? line[c] + gap : gap + line[c];  // names to the left, numbers to the right
            out += c + 1 < line.size() ? cell + "  " : cell;
        }
        out += '\n';
    }
    return out;
}

}  // namespace lamina::inline LAMINA_ABI::nn
