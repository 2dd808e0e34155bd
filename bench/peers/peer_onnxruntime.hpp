#pragma once
// ONNX Runtime's side of a race: a model written for the problem, run by a session with its arrays bound once. The
// library is loaded at run time, so that building needs nothing of it.
#include <functional>

#include "onnx_model.hpp"
#include "peers.hpp"

namespace peers::onnxruntime {

using onnx::Attributes;
using onnx::Dims;

/// How far the runtime rearranges a graph: `plain` fuses, `blocked` also gives convolutions layouts of blocked
/// channels.
enum class Level { plain = 2, blocked = 99 };

/// A graph and the arrays bound to it.
class Plan {
public:
    onnx::Graph graph;

    /// An input that every run reads from `a`.
    template <class T>
    std::string input(const Array<T>& a, const Dims& dims) {
        bound_.push_back({graph.input<T>(dims), dims, onnx::element_type<T>, a.data(),
                          std::size_t(a.size()) * sizeof(T),
                          std::shared_ptr<const void>(std::make_shared<Array<T>>(a))});
        return bound_.back().name;
    }
    /// A constant of the model, which the session may prepare as it likes.
    template <class T>
    std::string weight(const Array<T>& a, const Dims& dims) {
        return graph.constant(a.data(), dims);
    }
    /// The result, written to the same array by every run. Where others have element i, this one has `place(i)`.
    template <class T = float, class Place = std::identity>
    void output(const std::string& name, const Dims& dims, Place place = {}) {
        Index count = 1;
        for (const Index d : dims) count *= d;
        const Array<T> y(count);
        graph.output<T>(name);
        result_ = {name,
                   dims,
                   onnx::element_type<T>,
                   y.data(),
                   std::size_t(count) * sizeof(T),
                   std::shared_ptr<const void>(std::make_shared<Array<T>>(y))};
        read_ = [y, place](Index i) { return double(y[place(i)]); };
    }
    /// A result of indices whose number shows in the run; `list` makes of them, untimed, what others give: as many
    /// indices as were found, then -1.
    using List = std::function<std::vector<Index>(const Index* found, Index count)>;
    void found(const std::string& name, List list);

    /// The contestant, or none where the library is missing.
    Contestants race(const std::string& variant, Level level = Level::blocked) const;

    struct Bound {
        std::string name;
        Dims dims;
        int type = 0;
        void* data = nullptr;  // null: the runtime allocates
        std::size_t bytes = 0;
        std::shared_ptr<const void> owner = {};
    };

private:
    std::vector<Bound> bound_;
    Bound result_;
    std::function<double(Index)> read_;
    List list_;
};

/// The contestants of several forms of one problem.
inline Contestants both(Contestants a, const Contestants& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace peers::onnxruntime
