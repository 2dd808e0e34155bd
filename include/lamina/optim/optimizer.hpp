#pragma once
// What all optimizers share: parameter groups, state per parameter, consuming gradients, saving and resuming. An
// optimizer is this class over a method: its options, the names of its state, and the kernel rule of a step.
#include <lamina/core/any_tensor.hpp>
#include <lamina/kernels/optim/update.hpp>

namespace lamina::inline LAMINA_ABI::optim {

/// Parameters with options of their own.
template <class Options>
struct ParameterGroup {
    std::vector<NamedTensor> parameters;
    Options options = {};
};

/// Updates parameters from their gradients by `Method`. Handles share elements and gradients with the module that the
/// parameters came from; a parameter that appears twice is updated once.
template <class Method>
class Optimizer {
public:
    using Options = typename Method::Options;

    /// All parameters in one group. Throws ValueError for options out of range.
    explicit Optimizer(std::vector<NamedTensor> parameters, const Options& options = {}) {
        add_group({std::move(parameters), options});
    }
    /// Several groups, such as one without weight decay.
    explicit Optimizer(std::vector<ParameterGroup<Options>> groups) {
        for (auto& group : groups) add_group(std::move(group));
    }
    void add_group(ParameterGroup<Options> group) {
        Method::check(group.options);
        Group added{group.options, {}};
        for (NamedTensor& parameter : group.parameters) {
            const GradLink& link = parameter.tensor.grad_link();
            require<GradError>(bool(link), Method::name, ": parameter ", parameter.name, " must have a gradient slot");
            if (!knows(link, added)) added.members.push_back({std::move(parameter), 0, {}});
        }
        groups_.push_back(std::move(added));
    }

    /// One step for every parameter that has a gradient; the gradients are forgotten.
    void step() {
        step_type<float>();
        step_type<double>();
        zero_grad();
    }
    /// Forgets all gradients.
    void zero_grad() {
        for_each_member([](Group&, Member& m) { m.parameter.tensor.grad_link()->gradient.reset(); });
    }

    Index group_count() const { return Index(groups_.size()); }
    /// Options of a group, to be read or changed; changes hold from the next step on. Throws ValueError.
    Options& options(Index group = 0) {
        require<ValueError>(group >= 0 && group < group_count(), Method::name, ": group must lie in [0, ",
                            group_count() - 1, "] but is ", group);
        return groups_[std::size_t(group)].options;
    }
    /// Sets the learning rate of all groups.
    void set_learning_rate(double rate) {
        for (Group& group : groups_) group.options.learning_rate = rate;
    }

    /// State and options as tensors: `state.{i}.step`, `state.{i}.exp_avg` …, `param_groups.{g}.lr` …, where i numbers
    /// the parameters in group order. Shares the elements of the state.
    StateDict state_dict() const {
        StateDict out;
        Index i = 0;
        for (std::size_t g = 0; g < groups_.size(); ++g) {
            const std::string prefix = message("param_groups.", Index(g), ".");
            Options options = groups_[g].options;
            Method::visit(options, [&](const char* name, auto& value) {
                out.insert(prefix + name, AnyTensor(Tensor<double, 0>(double(value))));
            });
            out.insert(prefix + "size", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(groups_[g].members.size()))));
            for (const Member& m : groups_[g].members) {
                const std::string state = message("state.", i++, ".");
                if (m.step == 0) continue;
                out.insert(state + "step", AnyTensor(Tensor<std::int64_t, 0>(m.step)));
                for (int k = 0; k < Method::states; ++k)
                    if (m.state[k].defined()) out.insert(state + Method::state_names[k], m.state[k]);
            }
        }
        return out;
    }
    /// Goes on where the optimizer stood that `saved` came from: the same bits as if it had never stopped. Throws
    /// ValueError when groups or shapes differ; then nothing has changed.
    void load_state_dict(const StateDict& saved) {
        std::vector<Group> loaded = groups_;
        Index i = 0;
        for (std::size_t g = 0; g < loaded.size(); ++g) {
            const std::string prefix = message("param_groups.", Index(g), ".");
            const auto size = saved[prefix + "size"].template as<std::int64_t, 0>().item();
            require<ValueError>(size == Index(loaded[g].members.size()), Method::name, ": group ", Index(g), " has ",
                                Index(loaded[g].members.size()), " parameters but the saved one ", size);
            Method::visit(loaded[g].options, [&](const char* name, auto& value) {
                value = std::remove_reference_t<decltype(value)>(saved[prefix + name].template as<double, 0>().item());
            });
            Method::check(loaded[g].options);
            for (Member& m : loaded[g].members) {
                const std::string state = message("state.", i++, ".");
                m.step = 0;
                for (AnyTensor& tensor : m.state) tensor = AnyTensor();
                const AnyTensor* const steps = saved.find(state + "step");
                if (!steps) continue;
                m.step = steps->template as<std::int64_t, 0>().item();
                for (int k = 0; k < Method::states; ++k)
                    if (const AnyTensor* tensor = saved.find(state + Method::state_names[k])) {
                        const AnyTensor& parameter = m.parameter.tensor;
                        require<ValueError>(
                            tensor->shape() == parameter.shape() && tensor->dtype() == parameter.dtype(), Method::name,
                            ": ", state, Method::state_names[k], " is ", name_of(tensor->dtype()), " ",
                            tensor->shape_text(), " but its parameter ", name_of(parameter.dtype()), " ",
                            parameter.shape_text());
                        m.state[k] = AnyTensor::zeros(parameter.dtype(), parameter.shape());
                        m.state[k].assign(*tensor);
                    }
            }
        }
        groups_ = std::move(loaded);
    }

private:
    struct Member {
        NamedTensor parameter;
        Index step = 0;
        AnyTensor state[3];
    };
    struct Group {
        Options options;
        std::vector<Member> members;
    };

    template <class F>
    void for_each_member(F&& f) {
        for (Group& group : groups_)
            for (Member& member : group.members) f(group, member);
    }
    bool knows(const GradLink& link, const Group& added) {
        const auto same = [&](const Member& m) { return m.parameter.tensor.grad_link() == link; };
        bool found = false;
        for (const Member& m : added.members) found = found || same(m);
        for_each_member([&](Group&, const Member& m) { found = found || same(m); });
        return found;
    }
    template <class T>
    void step_type() {
        using Rule = typename Method::template Rule<T>;
        std::vector<kernels::UpdateJob<T, Rule>> jobs;
        for_each_member([&](Group& group, Member& m) {
            AnyTensor& p = m.parameter.tensor;
            if (p.dtype() != dtype_of<T> || !p.grad_link()->gradient) return;
            ++m.step;
            kernels::UpdateJob<T, Rule> job{reinterpret_cast<T*>(p.mutable_data()),
                                            reinterpret_cast<const T*>(p.grad_link()->gradient->data()),
                                            {},
                                            p.numel(),
                                            Method::template rule<T>(group.options, m.step)};
            for (int k = 0; k < Method::states; ++k) {
                if (!Method::needs_state(group.options, k)) continue;
                if (!m.state[k].defined()) m.state[k] = AnyTensor::zeros(p.dtype(), p.shape());
                job.state[k] = reinterpret_cast<T*>(m.state[k].mutable_data());
            }
            jobs.push_back(job);
        });
        if (!jobs.empty()) kernels::update_all(jobs);
    }

    std::vector<Group> groups_;
};

namespace detail {

inline void check_range(const char* method, const char* option, double value, double low, double below) {
    require<ValueError>(value >= low && value < below, method, ": ", option, " must lie in [", low, ", ", below,
                        ") but is ", value);
}
inline void check_not_negative(const char* method, const char* option, double value) {
    require<ValueError>(value >= 0, method, ": ", option, " must not be negative but is ", value);
}

}  // namespace detail

}  // namespace lamina::inline LAMINA_ABI::optim
