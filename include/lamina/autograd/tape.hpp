#pragma once
// Reverse-mode gradients. While a Tape lives, ops on its thread append what undoes them; backward() runs that list
// from the back. A flat list, so a chain of any length needs no stack, neither in backward nor in destruction.
#include <lamina/autograd/slot.hpp>
#include <lamina/random/rng.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::autograd {

struct Tape;

namespace detail {

inline std::uint64_t tape_serial = 0;                   ///< serial of the youngest tape of the process
constinit inline thread_local Tape* current = nullptr;  ///< the tape that ops of this thread record on

/// One recorded op: how the gradient of its result flows to its inputs.
struct Node {
    Node(const char* op, GradLink result) : name(op), slot(std::move(result)) {}
    virtual ~Node() = default;
    virtual void run(const void* dy) = 0;
    const char* name;
    GradLink slot;
};
template <class T, class F>
struct NodeOf final : Node {
    NodeOf(const char* op, GradLink result, F f) : Node(op, std::move(result)), backward(std::move(f)) {}
    void run(const void* dy) override { backward(static_cast<const T*>(dy)); }
    F backward;
};

/// The list and its place among the tapes of the thread.
class Recorder {
public:
    explicit Recorder(Tape* owner)
        : outer_(std::exchange(current, owner)),
          serial(__atomic_add_fetch(&tape_serial, 1, __ATOMIC_RELAXED)) {}
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;
    ~Recorder() {
        current = outer_;
        clear();
    }
    void clear() {
        while (!nodes.empty()) drop_last();
    }
    void drop_last() {
        delete nodes.back();
        nodes.pop_back();
    }

private:
    Tape* outer_;

public:
    const std::uint64_t serial;
    std::vector<Node*> nodes;
    bool consumed = false;
};

}  // namespace detail

/// How backward() treats the tape.
struct BackwardOptions {
    bool retain = false;  ///< keep the recorded ops for another backward pass
};

/// Records the ops of this thread while it lives: `Tape tape;`, a forward pass, `tape.backward(loss)`. Tapes nest; the
/// innermost records. Layers that behave differently in training (dropout, batch normalisation) do so exactly while a
/// tape with `training` records.
struct Tape {
    bool training = true;              ///< false: gradients in evaluation mode
    random::Rng* generator = nullptr;  ///< where dropout masks come from; by default one per thread
    bool paused = false;               ///< true: nothing is recorded, the mode stays
    detail::Recorder recorder{this};

    /// The generator of this tape's random layers.
    random::Rng& rng() {
        static thread_local random::Rng shared{0};
        return generator ? *generator : shared;
    }

    /// Makes `y` the result of an op whose gradient dL/dy `backward(const T* dy)` passes on. Called by ops only.
    template <class T, int R, class F>
    void record(const char* op, Tensor<T, R>& y, F&& backward) {
        require<GradError>(!recorder.consumed, op, ": the tape was consumed by backward and records no more");
        GradLink slot(new GradSlot(dtype_of<T>, y.numel(), recorder.serial));
        recorder.nodes.push_back(new detail::NodeOf<T, std::decay_t<F>>(op, slot, std::forward<F>(backward)));
        y.set_grad_link(std::move(slot));
    }

    /// Adds dL/dx to every leaf x that the one-element tensor `loss` [] depends on. Throws GradError when this tape did
    /// not record `loss` or was consumed before.
    template <class T, int R>
    void backward(const Tensor<T, R>& loss, BackwardOptions options = {}) {
        require<GradError>(loss.numel() == 1, "backward: loss must have one element but has shape ", loss.shape());
        const T one(1);
        run(loss, &one, options);
    }
    /// The same for any tensor `y` with the gradient `dy` of its shape.
    template <class T, int R>
    void backward(const Tensor<T, R>& y, const std::type_identity_t<Tensor<T, R>>& dy, BackwardOptions options = {}) {
        require(y.shape() == dy.shape(), "backward: gradient must have the shape of the tensor (", y.shape(), " and ",
                dy.shape(), ")");
        run(y, dy.is_contiguous() ? dy.data() : dy.clone().data(), options);
    }

    /// Ops recorded so far.
    Index size() const { return Index(recorder.nodes.size()); }

private:
    template <class T, int R>
    void run(const Tensor<T, R>& y, const T* dy, BackwardOptions options);
};

/// The tape that records this thread's ops, or null.
inline Tape* current_tape() { return detail::current; }
/// True while layers are to behave as in training.
inline bool training() { return detail::current && detail::current->training; }

namespace detail {

inline bool tracked(const GradLink& link, const Tape& tape) {
    return link && (link->is_leaf() || link->tape == tape.recorder.serial);
}
template <class T, int R>
bool tracked(const Tensor<T, R>& x, const Tape& tape) {
    return tracked(x.grad_link(), tape);
}
template <class T, int R>
bool tracked(const OptionalTensor<T, R>& x, const Tape& tape) {
    return x && tracked(*x, tape);
}

}  // namespace detail

/// The tape when an op on these inputs (tensors, optional tensors) has to be recorded, else null.
template <class... X>
Tape* recording(const X&... x) {
    Tape* tape = detail::current;
    if (!tape || tape->paused) return nullptr;
    return (detail::tracked(x, *tape) || ...) ? tape : nullptr;
}

template <class T, int R>
void Tape::run(const Tensor<T, R>& y, const T* dy, BackwardOptions options) {
    require<GradError>(!recorder.consumed, "backward: the tape was consumed by an earlier backward pass");
    require<GradError>(y.grad_link() && y.grad_link()->tape == recorder.serial,
                       "backward: this tape did not record the tensor (shape ", y.shape(), ")");
    struct Running {  // ops inside backward functions record nothing, and gradients flow to this tape's tensors only
        Tape* const outer;
        const std::uint64_t outer_serial;
        explicit Running(std::uint64_t serial)
            : outer(std::exchange(detail::current, nullptr)),
              outer_serial(std::exchange(detail::running, serial)) {}
        ~Running() {
            detail::current = outer;
            detail::running = outer_serial;
        }
    } running(recorder.serial);
    const auto seed = grad_target<T>(y.grad_link());
    if (!seed.accumulate) std::memcpy(seed.data, dy, std::size_t(y.numel()) * sizeof(T));
    for (Index i = 0; seed.accumulate && i < y.numel(); ++i) seed.data[i] += dy[i];
    recorder.consumed = !options.retain;
    for (auto i = recorder.nodes.size(); i-- > 0;) {
        GradSlot& slot = *recorder.nodes[i]->slot;
        if (slot.gradient) {
            recorder.nodes[i]->run(slot.gradient->data());
            if (!slot.retained) slot.gradient.reset();
        }
        if (!options.retain) recorder.drop_last();
    }
}

/// While it lives, ops on this thread are not recorded.
class NoGrad {
public:
    NoGrad() : outer_(std::exchange(detail::current, nullptr)) {}
    NoGrad(const NoGrad&) = delete;
    NoGrad& operator=(const NoGrad&) = delete;
    ~NoGrad() { detail::current = outer_; }

private:
    Tape* outer_;
};

}  // namespace lamina::inline LAMINA_ABI::autograd
