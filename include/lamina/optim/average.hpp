#pragma once
// Averages of parameters over training: exponential (EMA) or equal (SWA). They often generalise better than the last
// parameters. P. Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.
#include <lamina/core/any_tensor.hpp>
#include <lamina/kernels/optim/average.hpp>
#include <lamina/optim/method.hpp>

namespace lamina::inline LAMINA_ABI::optim {

/// A running average of parameters, in float for those of 16 bits. Buffers, such as running statistics, are not
/// averaged.
class ParameterAverage {
public:
    /// Starts with the parameters as they are.
    explicit ParameterAverage(std::vector<NamedTensor> parameters) : parameters_(std::move(parameters)) {
        for (const auto& [name, tensor] : parameters_) {
            const DType type = tensor.dtype() == DType::f64 ? DType::f64 : DType::f32;
            averages_.push_back({name, AnyTensor::zeros(type, tensor.shape())});
            averages_.back().tensor.assign(tensor);
        }
    }
    /// How often the parameters have been taken in.
    Index updates() const { return updates_; }
    /// Sets the parameters to the averages, as for an evaluation; `restore` brings back what they were.
    void apply() {
        require<ValueError>(kept_.empty(), "ParameterAverage: apply was called already");
        for (const auto& [name, tensor] : parameters_) {
            kept_.push_back(AnyTensor::zeros(tensor.dtype(), tensor.shape()));
            kept_.back().assign(tensor);
        }
        copy_to_parameters();
    }
    /// Undoes `apply`. Throws ValueError without one.
    void restore() {
        require<ValueError>(kept_.size() == parameters_.size(), "ParameterAverage: restore needs an apply before it");
        for (std::size_t i = 0; i < kept_.size(); ++i) parameters_[i].tensor.assign(kept_[i]);
        kept_.clear();
    }
    /// Sets the parameters to the averages for good.
    void copy_to_parameters() {
        for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].tensor.assign(averages_[i].tensor);
    }
    /// The averages by the parameters' names, and `updates`. Shares elements.
    StateDict state_dict() const {
        StateDict out;
        out.insert("updates", AnyTensor(Tensor<std::int64_t, 0>(std::int64_t(updates_))));
        for (const auto& [name, tensor] : averages_) out.insert("average." + name, tensor);
        return out;
    }
    /// Goes on from a state dict. Throws ValueError for a missing name, ShapeError for another shape.
    void load_state_dict(const StateDict& saved) {
        for (const auto& [name, tensor] : averages_) {
            const AnyTensor& from = saved["average." + name];
            require(from.shape() == tensor.shape(), "ParameterAverage: ", name, " must have shape ",
                    tensor.shape_text(), " but has ", from.shape_text());
        }
        updates_ = saved["updates"].as<std::int64_t, 0>().item();
        for (auto& [name, tensor] : averages_) tensor.assign(saved["average." + name]);
    }

protected:
    /// average = keep average + (1 - keep) parameter, all in one parallel pass.
    void take_in(double keep) {
        require<ValueError>(kept_.empty(), "ParameterAverage: update needs the parameters restored");
        ++updates_;
        std::vector<kernels::AverageJob> jobs;
        for (std::size_t i = 0; i < parameters_.size(); ++i)
            jobs.push_back({averages_[i].tensor.mutable_data(), parameters_[i].tensor.data(),
                            averages_[i].tensor.numel(), parameters_[i].tensor.dtype()});
        kernels::average_all(jobs, keep);
    }

private:
    std::vector<NamedTensor> parameters_, averages_;
    std::vector<AnyTensor> kept_;
    Index updates_ = 0;
};

/// average = decay average + (1 - decay) parameter after each step. With `warm_up` the decay of update t, from 0 on,
/// is at most (1 + t) / (10 + t), so that the beginning is soon forgotten.
class EMA : public ParameterAverage {
public:
    /// Throws ValueError for a decay outside [0, 1).
    explicit EMA(std::vector<NamedTensor> parameters, double decay = 0.9999, bool warm_up = false)
        : ParameterAverage(std::move(parameters)),
          decay_(decay),
          warm_up_(warm_up) {
        detail::check_range("EMA", "decay", decay, 0, 1);
    }
    /// Takes the parameters in; to be called after each step of the optimizer.
    void update() {
        const auto t = double(updates());
        const double early = (1 + t) / (10 + t);
        take_in(warm_up_ && early < decay_ ? early : decay_);
    }

private:
    double decay_;
    bool warm_up_;
};

/// The mean of the parameters at all calls of update.
class SWA : public ParameterAverage {
public:
    using ParameterAverage::ParameterAverage;
    /// Takes the parameters in; to be called once in a while, such as after each epoch of the last quarter.
    void update() { take_in(1 - 1 / (double(updates()) + 1)); }
};

}  // namespace lamina::inline LAMINA_ABI::optim
