#pragma once
// A table of a model's layers: what each puts out and how many parameters it owns.
#include <lamina/core/create.hpp>
#include <lamina/nn/observe.hpp>

namespace lamina::inline LAMINA_ABI::nn {

namespace detail {

struct SummaryRow {
    std::string name, kind, shape;
    Index parameters;
};

/// Collects a row per layer call; parameters are counted at a layer's first call only.
class SummaryObserver final : public Observer {
public:
    struct Known {
        const void* address;
        std::string_view kind;
        std::string name;
        Index parameters;
        bool seen = false;
    };
    std::vector<Known> layers;
    std::vector<SummaryRow> rows;

    void on_output(const void* layer, std::string_view kind, const AnyTensor& output) override {
        SummaryRow row{"", std::string(kind), output.shape_text(), 0};
        for (Known& known : layers)
            if (known.address == layer && known.kind == kind) {
                row.name = known.name;
                row.parameters = known.seen ? 0 : known.parameters;
                known.seen = true;
            }
        rows.push_back(std::move(row));
    }
};

inline std::string grouped(Index number) {
    std::string digits = message(number);
    for (auto at = std::ptrdiff_t(digits.size()) - 3; at > 0; at -= 3) digits.insert(std::size_t(at), 1, ',');
    return digits;
}

}  // namespace detail

/// Runs `model` on zeros of `input_shape` and returns a table of its layers in order of execution: name, kind, output
/// shape and parameters, with totals.
template <class T = float, Module M, int R>
std::string summary(const M& model, const Shape<R>& input_shape) {
    detail::SummaryObserver observer;
    for_each_module(model, [&](const std::string& name, const auto& module) {
        using Layer = std::remove_cvref_t<decltype(module)>;
        if constexpr (requires { Layer::kind; })
            observer.layers.push_back({&module, Layer::kind, name, count_parameters(module)});
    });
    {
        const autograd::NoGrad no_grad;
        model(zeros<T>(input_shape));
    }
    auto& rows = observer.rows;
    rows.insert(rows.begin(), {"layer", "kind", "output", 0});
    std::size_t widths[3] = {};
    for (const auto& row : rows) {
        widths[0] = std::max(widths[0], row.name.size());
        widths[1] = std::max(widths[1], row.kind.size());
        widths[2] = std::max(widths[2], row.shape.size());
    }
    const auto padded = [](std::string text, std::size_t width) {
        text.resize(std::max(width, text.size()), ' ');
        return text + "  ";
    };
    std::string out;
    for (const auto& row : rows) {
        const std::string count = &row == rows.data() ? "parameters" : detail::grouped(row.parameters);
        out += padded(row.name, widths[0]) + padded(row.kind, widths[1]) + padded(row.shape, widths[2]);
        out.append(count.size() < 12 ? 12 - count.size() : 0, ' ').append(count).append(1, '\n');
    }
    const Index total = count_parameters(model);
    Index learning = 0;
    for (const auto& parameter : parameters(model)) learning += parameter.tensor.numel();
    return out + "input " + message(input_shape) + ", parameters " + detail::grouped(total) + ", learning " +
           detail::grouped(learning) + "\n";
}

}  // namespace lamina::inline LAMINA_ABI::nn
