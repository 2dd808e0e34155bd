#pragma once
// What all optimizers share: parameter groups, state per parameter, consuming gradients, saving and resuming. An
// optimizer is this class over a method: its options, the names of its state, and the kernel rule of a step.
#include <lamina/core/any_tensor.hpp>
#include <lamina/optim/method.hpp>

namespace lamina::inline LAMINA_ABI::optim {

/// Parameters with options of their own.
template <class Options>
struct ParameterGroup {
    std::vector<NamedTensor> parameters;
    Options options = {};
};

/// Updates parameters from their gradients by `Method`. Handles share elements and gradients with the module that the
/// parameters came from; a parameter that appears twice is updated once. Parameters of 16 bits get a float master
/// copy, which takes the steps and is rounded into the parameter after each.
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
            if (knows(link, added)) continue;
            added.members.emplace_back();
            added.members.back().parameter = std::move(parameter);
        }
        groups_.push_back(std::move(added));
    }

    /// One step for every parameter that has a gradient; the gradients, taken times `gradient_scale`, are forgotten.
    void step(double gradient_scale = 1) {
        step_type<float>(gradient_scale);
        step_type<double>(gradient_scale);
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
    /// All parameters, in group order: what clipping and loss scaling work on.
    std::vector<NamedTensor> parameters() const {
        std::vector<NamedTensor> out;
        for (const Group& group : groups_)
            for (const Member& m : group.members) out.push_back(m.parameter);
        return out;
    }

    /// State and options as tensors: `state.{parameter}.step`, `state.{parameter}.exp_avg` …,
    /// `param_groups.{g}.lr` …. Shares the elements of the state. Throws ValueError when parameters share a name.
    StateDict state_dict() const;
    /// Goes on where the optimizer stood that `saved` came from: the same bits as if it had never stopped. Throws
    /// ValueError that lists every difference of groups, names and shapes; then nothing has changed.
    void load_state_dict(const StateDict& saved);

private:
    struct Member {
        NamedTensor parameter;
        detail::Progress at;
        AnyTensor master;
        AnyTensor state[Method::states];
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
    /// Type that the parameter is updated in.
    static DType compute_type(const Member& m) {
        return m.parameter.tensor.dtype() == DType::f64 ? DType::f64 : DType::f32;
    }
    static bool is_narrow(const Member& m) { return m.parameter.tensor.dtype() != compute_type(m); }
    template <class T>
    static void fill(AnyTensor& tensor, double value) {
        T* x = reinterpret_cast<T*>(tensor.mutable_data());
        for (Index i = 0, n = tensor.numel(); value != 0 && i < n; ++i) x[i] = T(value);
    }

    template <class T>
    void step_type(double gradient_scale) {
        using Rule = typename Method::template Rule<T>;
        std::vector<kernels::UpdateJob<T, Rule>> jobs;
        for_each_member([&](Group& group, Member& m) {
            AnyTensor& p = m.parameter.tensor;
            if (compute_type(m) != dtype_of<T> || !p.grad_link()->gradient) return;
            ++m.at.step;
            Method::advance(group.options, m.at);
            kernels::UpdateJob<T, Rule> job{.parameter = reinterpret_cast<T*>(p.mutable_data()),
                                            .gradient = p.grad_link()->gradient->data(),
                                            .state = {},
                                            .count = p.numel(),
                                            .rule = Method::template rule<T>(group.options, m.at, p.shape())};
            job.rule.gradient_scale *= T(gradient_scale);
            if (is_narrow(m)) {
                if (!m.master.defined()) m.master = AnyTensor::zeros(DType::f32, p.shape());
                job.narrow = job.parameter;
                job.narrow_type = p.dtype();
                job.gradient_type = p.grad_link()->dtype;
                job.parameter = reinterpret_cast<T*>(m.master.mutable_data());
            }
            for (int k = 0; k < Method::states; ++k) {
                if (!Method::needs_state(group.options, k, p.shape())) continue;
                if (!m.state[k].defined()) {
                    m.state[k] = AnyTensor::zeros(dtype_of<T>, Method::state_shape(k, p.shape()));
                    fill<T>(m.state[k], Method::initial_state(group.options, k));
                }
                job.state[k] = reinterpret_cast<T*>(m.state[k].mutable_data());
            }
            jobs.push_back(job);
        });
        if (!jobs.empty()) Method::run(jobs);
    }
    /// Replaces `target` by a copy of `source`; describes what does not fit.
    static void load_tensor(AnyTensor& target, const AnyTensor& source, DType type, const std::vector<Index>& shape,
                            const std::string& name, std::string& problems) {
        if (source.shape() != shape || source.dtype() != type) {
            const AnyTensor wanted(type, shape, Ref<Storage>(), nullptr);
            problems += message("\n  ", name, " is ", name_of(source.dtype()), " ", source.shape_text(),
                                " but must be ", name_of(type), " ", wanted.shape_text());
            return;
        }
        target = AnyTensor::zeros(type, shape);
        target.assign(source);
    }
    /// The parts of one parameter in a state dict.
    void load_member(Member& m, const StateDict& saved, std::vector<std::string>& known, std::string& problems) const;

    std::vector<Group> groups_;
};

template <class Method>
StateDict Optimizer<Method>::state_dict() const {
    StateDict out;
    std::vector<std::string_view> names;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        const std::string prefix = message("param_groups.", Index(g), ".");
        Options options = groups_[g].options;
        Method::visit(options, [&](const char* name, auto& value) {
            out.insert(prefix + name, AnyTensor(Tensor<double, 0>(double(value))));
        });
        out.insert(prefix + "size", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(groups_[g].members.size()))));
        for (const Member& m : groups_[g].members) {
            for (std::string_view name : names)
                require<ValueError>(name != m.parameter.name, Method::name, ": parameters must have different names, ",
                                    name, " appears twice");
            names.push_back(m.parameter.name);
            if (m.at.step == 0) continue;
            const std::string state = message("state.", m.parameter.name, ".");
            out.insert(state + "step", AnyTensor(Tensor<std::int64_t, 0>(m.at.step)));
            if constexpr (Method::memory_name != nullptr)
                out.insert(state + Method::memory_name, AnyTensor(Tensor<double, 0>(m.at.memory)));
            if (m.master.defined()) out.insert(state + "master", m.master);
            for (int k = 0; k < Method::states; ++k)
                if (m.state[k].defined()) out.insert(state + Method::state_names[k], m.state[k]);
        }
    }
    return out;
}

template <class Method>
void Optimizer<Method>::load_member(Member& m, const StateDict& saved, std::vector<std::string>& known,
                                    std::string& problems) const {
    const std::string state = message("state.", m.parameter.name, ".");
    Member fresh;
    fresh.parameter = m.parameter;
    const auto find = [&](const char* part) {
        const AnyTensor* const found = saved.find(state + part);
        if (found) known.push_back(state + part);
        return found;
    };
    const std::vector<Index>& shape = m.parameter.tensor.shape();
    if (const AnyTensor* steps = find("step")) fresh.at.step = steps->template as<std::int64_t, 0>().item();
    if constexpr (Method::memory_name != nullptr)
        if (const AnyTensor* memory = find(Method::memory_name))
            fresh.at.memory = memory->template as<double, 0>().item();
    if (is_narrow(m))
        if (const AnyTensor* master = find("master"))
            load_tensor(fresh.master, *master, DType::f32, shape, state + "master", problems);
    for (int k = 0; k < Method::states; ++k)
        if (const AnyTensor* tensor = find(Method::state_names[k]))
            load_tensor(fresh.state[k], *tensor, compute_type(m), Method::state_shape(k, shape),
                        state + Method::state_names[k], problems);
    m = std::move(fresh);
}

template <class Method>
void Optimizer<Method>::load_state_dict(const StateDict& saved) {
    std::vector<Group> loaded = groups_;
    std::vector<std::string> known;
    std::string problems;
    for (std::size_t g = 0; g < loaded.size(); ++g) {
        const std::string prefix = message("param_groups.", Index(g), ".");
        const auto find = [&](const char* name) {
            const AnyTensor* const found = saved.find(prefix + name);
            if (found) known.push_back(prefix + name);
            else problems += message("\n  missing ", prefix, name);
            return found;
        };
        if (const AnyTensor* size = find("size")) {
            const Index count = size->template as<std::int64_t, 0>().item(), ours = Index(loaded[g].members.size());
            if (count != ours)
                problems += message("\n  group ", Index(g), " has ", ours, " parameters, ", count, " saved");
        }
        Method::visit(loaded[g].options, [&](const char* name, auto& value) {
            if (const AnyTensor* option = find(name))
                value = std::remove_reference_t<decltype(value)>(option->template as<double, 0>().item());
        });
        for (Member& m : loaded[g].members) load_member(m, saved, known, problems);
    }
    std::sort(known.begin(), known.end());
    for (const auto& [name, tensor] : saved)
        if (!std::binary_search(known.begin(), known.end(), name)) problems += message("\n  unexpected ", name);
    require<ValueError>(problems.empty(), Method::name, ": the saved state must fit the parameters:", problems);
    for (Group& group : loaded) Method::check(group.options);
    groups_ = std::move(loaded);
}

}  // namespace lamina::inline LAMINA_ABI::optim
