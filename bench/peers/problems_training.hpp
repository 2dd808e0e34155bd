#pragma once
// The workloads of training: whole steps of networks, and arrays filled with random numbers.
#include <map>

#include "problems.hpp"

namespace peers {

/// One step of training, forward to optimizer, always on the same batch. Everyone begins with the same parameters.
struct TrainingStep {
    /// The quickstart's network on images [batch, 1, 28, 28] with AdamW; ResNet-18 on images [batch, 3, 32, 32] with
    /// SGD and momentum; six pre-norm Transformer layers over bytes [batch, 257] with AdamW, each byte from those
    /// before.
    enum class Network { quickstart, resnet18, language_model } network;
    static constexpr Index context = 256, vocabulary = 256, width = 256, heads = 8, layers = 6;

    Index batch;
    Array<float> images = network == Network::quickstart ? noise(batch * 28 * 28, 1)
                          : network == Network::resnet18 ? noise(batch * 3 * 32 * 32, 1)
                                                         : Array<float>();
    Array<Index> labels = make_labels(batch, 10), bytes = make_labels(batch * (context + 1), vocabulary);
    double learning_rate = network == Network::resnet18 ? 0.01 : network == Network::quickstart ? 1e-3 : 3e-4;
    double weight_decay = network == Network::quickstart ? 0.05 : 0.01, momentum = 0.9;
    std::map<std::string, Array<float>> weights = {};

    /// The losses of so many steps must agree before the clock starts; all but the last are taken ahead of the race.
    static constexpr int compared = 4;

    static Array<Index> make_labels(Index count, Index classes) {
        Array<Index> labels(count);
        for (Index i = 0; i < count; ++i) labels[i] = i * 7919 % 1031 % classes;
        return labels;
    }
    /// A step as a call: `step()` returns its loss.
    template <class Step>
    static Call call(Step step) {
        const auto losses = std::make_shared<std::vector<double>>();
        const auto run = [=] {
            const double loss = step();
            if (Index(losses->size()) < compared) losses->push_back(loss);
        };
        for (int i = 1; i < compared; ++i) run();
        return Call{run, [=](Index i) { return (*losses)[std::size_t(i)]; }};
    }
};

/// Floats filled with random numbers: uniform in [0, 1), normal, or normal cut at two standard deviations. The
/// generators differ, so moments are compared.
struct RandomFill {
    enum class Kind { uniform, normal, truncated_normal } kind;
    Index count;

    static constexpr Index moments = 4;
    /// Mean of x^(i + 1).
    template <class T>
    static double moment(const T* x, Index count, Index i) {
        double sum = 0;
        for (Index k = 0; k < count; ++k) sum += std::pow(double(x[k]), int(i) + 1);
        return sum / double(count);
    }
};

}  // namespace peers
