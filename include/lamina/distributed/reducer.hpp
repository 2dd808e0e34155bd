#pragma once
// Gradients averaged over all processes while backward still computes: a bucket leaves when the gradients in it have
// been written. Needs an MPI (Debian: libopenmpi-dev).
#include <lamina/autograd/tape.hpp>
#include <lamina/distributed/buckets.hpp>
#include <lamina/distributed/session.hpp>

#include <climits>

namespace lamina::inline LAMINA_ABI::distributed {

/// Options of GradientReducer, the same on all processes.
struct ReducerOptions {
    Index bucket_bytes = 4 << 20;  ///< size of a message; larger: less latency, later start
    bool overlap = true;           ///< send during backward; false: after it
};

/// Runs backward passes whose gradients are those of the mean loss over all processes: `reducer.backward(tape, loss)`
/// in place of `tape.backward(loss)`, and everything after it, clipping and optimizer, is as with one process.
///
/// The tape does not tell when a gradient is complete, so a bucket leaves when each gradient in it has had its first
/// contribution, which mostly is the only one. Averaging is linear: what a parameter that is used several times
/// receives later travels in a second round and is added, and from the next pass on such a parameter waits for the end.
/// Buckets leave in one order, the parameters' reversed. Every process must use the same parameters in the same pass;
/// one without gradient on some processes counts as zero there, and on all processes stays without.
class GradientReducer {
public:
    /// A collective call. Throws ValueError or GradError for parameters and options that plan_buckets refuses, and
    /// CommunicationError when processes differ in parameters or options.
    GradientReducer(const Session& world, const std::vector<NamedTensor>& parameters,
                    const ReducerOptions& options = {})
        : world_(&world),
          overlap_(options.overlap),
          slot_(new GradSlot(DType::f32, 0, 0)) {
        Index total = 0;
        for (const NamedTensor& p : parameters) total += p.tensor.numel();
        agree("parameters", Index(parameters.size()));
        agree("elements", total);
        agree("bytes in a bucket", options.bucket_bytes);
        agree("overlaps", options.overlap);
        for (Bucket& plan : plan_buckets(parameters, options.bucket_bytes)) {
            require<ValueError>(plan.count <= INT_MAX, "GradientReducer: a bucket must have at most ", INT_MAX,
                                " elements but has ", plan.count);
            Ref<Storage> flat;
            if (plan.members.size() > 1) flat = Storage::allocate(std::size_t(plan.count) * size_of(plan.type));
            buckets_.push_back({std::move(plan), std::move(flat), MPI_REQUEST_NULL});
        }
        for (const NamedTensor& p : parameters) members_.push_back({p.tensor.grad_link(), {}, {}, {}});
        slot_->gradient = Storage::allocate(1);
        slot_->retained = true;
    }
    GradientReducer(const GradientReducer&) = delete;
    GradientReducer& operator=(const GradientReducer&) = delete;
    ~GradientReducer() {
        for (const Message& bucket : buckets_)
            if (bucket.request != MPI_REQUEST_NULL) world_->abort("a backward pass ended with gradients under way");
    }

    /// `tape.backward(loss)`, after which each parameter's gradient, with what had gathered before, is the mean of
    /// those of all processes. A collective call. Throws what the tape throws, and CommunicationError.
    template <class T, int R>
    void backward(autograd::Tape& tape, const Tensor<T, R>& loss) {
        if (world_->size() == 1) return tape.backward(loss);
        for (Member& m : members_) m.before = std::move(m.link->gradient);
        sent_ = received_ = 0;
        if (overlap_) watch(tape);
        tape.backward(loss);
        early_ = sent_;
        send_until(buckets_.size());
        const bool late = agree_on_gradients();
        receive();
        if (late) {
            sent_ = received_ = 0;
            send_until(buckets_.size());
            agree_on_gradients();
            receive();
        }
        for (Member& m : members_) m.link->gradient = std::move(m.result);
    }

    /// Number of buckets.
    Index buckets() const { return Index(buckets_.size()); }
    /// Number of buckets that left before the last backward pass had ended.
    Index early() const { return Index(early_); }

private:
    struct Member {
        GradLink link;
        Ref<Storage> before;  ///< gathered by earlier backward passes
        Ref<Storage> sent;    ///< taken from the slot, on its way or for the result
        Ref<Storage> result;
        bool waits = false;    ///< for the end, since several ops contribute
        bool present = false;  ///< some process has a gradient
    };
    struct Message {
        Bucket plan;
        Ref<Storage> flat;  ///< null for a single gradient, which is reduced where it lies
        MPI_Request request = MPI_REQUEST_NULL;
    };
    /// Sits on the tape between ops.
    struct Poll final : autograd::detail::Node {
        explicit Poll(GradientReducer& owner) : Node("reduce", owner.slot_), reducer(&owner) {}
        void run(const void*) override { reducer->progress(); }
        GradientReducer* reducer;
    };

    void agree(const char* what, Index mine) const {
        const Index both[] = {mine, -mine};
        Index most[2] = {};
        check(MPI_Allreduce(both, most, 2, MPI_INT64_T, MPI_MAX, world_->communicator()), "MPI_Allreduce");
        require<CommunicationError>(most[0] == -most[1], "GradientReducer: the number of ", what,
                                    " must be the same on all processes but is ", -most[1], " to ", most[0]);
    }
    void watch(autograd::Tape& tape) {
        std::vector<autograd::detail::Node*> mixed;
        mixed.reserve(2 * tape.recorder.nodes.size());
        for (autograd::detail::Node* node : tape.recorder.nodes) {
            mixed.push_back(new Poll(*this));
            mixed.push_back(node);
        }
        tape.recorder.nodes = std::move(mixed);
    }
    bool is_ready(const Bucket& bucket) const {
        for (const Index i : bucket.members) {
            const Member& m = members_[std::size_t(i)];
            if (m.waits || !m.link->gradient) return false;
        }
        return true;
    }
    void progress() {
        while (sent_ < buckets_.size() && is_ready(buckets_[sent_].plan)) send_until(sent_ + 1);
        // Many an MPI moves messages only while one of its functions runs.
        int arrived = 1;
        while (arrived && received_ < sent_) {
            check(MPI_Test(&buckets_[received_].request, &arrived, MPI_STATUS_IGNORE), "MPI_Test");
            received_ += std::size_t(arrived);
        }
    }
    void send_until(std::size_t end) {
        for (; sent_ < end; ++sent_) {
            Message& bucket = buckets_[sent_];
            const bool wide = bucket.plan.type == DType::f64;
            void* data = wide ? static_cast<void*>(pack<double>(bucket)) : pack<float>(bucket);
            check(MPI_Iallreduce(MPI_IN_PLACE, data, int(bucket.plan.count), wide ? MPI_DOUBLE : MPI_FLOAT, MPI_SUM,
                                 world_->communicator(), &bucket.request),
                  "MPI_Iallreduce");
        }
    }
    void receive() {
        for (Message& bucket : buckets_) {
            check(MPI_Wait(&bucket.request, MPI_STATUS_IGNORE), "MPI_Wait");
            if (bucket.plan.type == DType::f64) unpack<double>(bucket);
            else unpack<float>(bucket);
        }
    }
    template <class T>
    static T* elements(const Ref<Storage>& storage) {
        return reinterpret_cast<T*>(storage->data());
    }
    /// Takes the gradients of a bucket from their slots, so that what is written later stands apart.
    template <class T>
    T* pack(Message& bucket) {
        T* to = bucket.flat ? elements<T>(bucket.flat) : nullptr;
        for (const Index i : bucket.plan.members) {
            Member& m = members_[std::size_t(i)];
            const std::size_t count = std::size_t(m.link->numel), bytes = count * sizeof(T);
            Ref<Storage> more = std::move(m.before);
            m.sent = std::move(m.link->gradient);
            if (!m.sent) std::swap(m.sent, more);
            m.present = bool(m.sent);
            if (!m.sent) {
                m.sent = Storage::allocate(bytes);
                std::memset(m.sent->data(), 0, bytes);
            }
            T* x = elements<T>(m.sent);
            for (std::size_t k = 0; more && k < count; ++k) x[k] += elements<T>(more)[k];
            if (!bucket.flat) return x;
            std::memcpy(to, x, bytes);
            to += count;
        }
        return elements<T>(bucket.flat);
    }
    /// Writes the mean, or adds that of a second round.
    template <class T>
    void unpack(Message& bucket) {
        const T scale = T(1) / T(world_->size());
        const T* from = bucket.flat ? elements<T>(bucket.flat) : nullptr;
        for (const Index i : bucket.plan.members) {
            Member& m = members_[std::size_t(i)];
            const Index count = m.link->numel;
            const T* x = from ? from : elements<T>(m.sent);
            if (m.present && m.result) {
                T* y = elements<T>(m.result);
                for (Index k = 0; k < count; ++k) y[k] += x[k] * scale;
            } else if (m.present) {
                T* y = elements<T>(m.sent);
                for (Index k = 0; k < count; ++k) y[k] = x[k] * scale;
                m.result = m.sent;
            }
            m.sent.reset();
            if (from) from += count;
        }
    }
    /// Makes known to all which parameters have a gradient anywhere, and which were written to after they had left.
    /// True when there are any of those.
    bool agree_on_gradients() {
        std::vector<int> flags;
        for (const Member& m : members_) {
            flags.push_back(m.present);
            flags.push_back(bool(m.link->gradient));
        }
        check(MPI_Allreduce(MPI_IN_PLACE, flags.data(), int(flags.size()), MPI_INT, MPI_MAX, world_->communicator()),
              "MPI_Allreduce");
        bool late = false;
        for (std::size_t i = 0; i < members_.size(); ++i) {
            members_[i].present = flags[2 * i];
            if (flags[2 * i + 1]) late = members_[i].waits = true;
        }
        return late;
    }

    const Session* world_;
    const bool overlap_;
    GradLink slot_;  ///< never empty, so that the tape runs the nodes that hold it
    std::vector<Member> members_;
    std::vector<Message> buckets_;
    std::size_t sent_ = 0, received_ = 0, early_ = 0;
};

}  // namespace lamina::inline LAMINA_ABI::distributed
