#pragma once
// Watching layers work: summaries and probes see every layer's output without the layers knowing them.
#include <lamina/nn/module.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Told of each layer's output, in order of execution, while it is installed on the thread.
class Observer {
public:
    Observer();
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer();
    /// `layer` is the layer's address, `kind` its type's name such as "Conv2d".
    virtual void on_output(const void* layer, std::string_view kind, const AnyTensor& output) = 0;

private:
    Observer* outer_;
};

namespace detail {
constinit inline thread_local Observer* observer = nullptr;
}

inline Observer::Observer() : outer_(std::exchange(detail::observer, this)) {}
inline Observer::~Observer() { detail::observer = outer_; }

/// True when layers may run as one kernel: nobody records and nobody watches.
inline bool may_fuse() { return !detail::observer && !autograd::current_tape(); }

/// `output`, after the thread's observer, if any, has seen it; every layer returns its result through this.
template <class Layer, Element T, int R>
Tensor<T, R> observed(const Layer& layer, Tensor<T, R> output) {
    if (detail::observer) [[unlikely]]
        detail::observer->on_output(&layer, Layer::kind, AnyTensor(output));
    return output;
}

}  // namespace lamina::inline LAMINA_ABI::nn
