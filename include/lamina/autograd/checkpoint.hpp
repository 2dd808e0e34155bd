#pragma once
// Segments that keep only their inputs and compute their inside again during backward: memory for time.
#include <lamina/autograd/tape.hpp>
#include <lamina/core/create.hpp>

#include <tuple>

namespace lamina::inline LAMINA_ABI::autograd {

namespace detail {

/// Adds the gradient gathered by the leaf to that of the tensor it stands for.
template <class T, int R>
void pass_on(const Tensor<T, R>& leaf, const Tensor<T, R>& x) {
    if (!has_grad(leaf)) return;
    const auto to = grad_target(x);
    if (!to) return;
    const T* from = grad(leaf).data();
    for (Index i = 0; i < x.numel(); ++i) to.data[i] = to.accumulate ? to.data[i] + from[i] : from[i];
}

}  // namespace detail

/// y = f(x…) whose intermediates are not kept; backward runs f again with the same random numbers. `f` is copied and
/// may use parameters freely. Running statistics inside `f` update twice, as in torch.utils.checkpoint.
template <class F, class... X>
auto checkpoint(F f, const X&... x) {
    Tape* tape = detail::current;
    if (!tape || tape->paused) return f(x...);
    const random::Rng before = tape->rng();
    const bool training = tape->training;
    auto y = [&] {
        Tape silent{.training = training, .generator = &tape->rng(), .paused = true};
        return f(x...);
    }();
    tape->record("checkpoint", y, [f, before, training, inputs = std::tuple(x...)]<class T>(const T* dy) {
        auto leaves = std::apply([](const auto&... t) { return std::tuple(leaf(t.detach())...); }, inputs);
        random::Rng replay = before;
        Tape inner{.training = training, .generator = &replay};
        auto y = std::apply(f, leaves);
        if (!recording(y)) return;
        inner.backward(y, borrow(y.shape(), const_cast<T*>(dy)));
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (detail::pass_on(std::get<I>(leaves), std::get<I>(inputs)), ...);
        }
        (std::index_sequence_for<X...>{});
    });
    return y;
}

}  // namespace lamina::inline LAMINA_ABI::autograd
