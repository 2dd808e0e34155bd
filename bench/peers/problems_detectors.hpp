#pragma once
// The workloads of detectors: whole networks forward, and a step of training.
#include <map>

#include "problems.hpp"

namespace peers {

/// Parameters and statistics of a network by name.
struct Weight {
    std::vector<Index> shape;
    Array<float> values;
};
using Weights = std::map<std::string, Weight>;

/// CenterNet on ResNet-18, its neck of transposed convolutions plain or deformable: maps of 80 classes, sizes and
/// offsets of one image, compared one behind the other.
struct CenterNetForward {
    bool deformable;
    Index size = 512;
    Array<float> x = noise(3 * size * size, 1);
    Weights weights = {};

    static constexpr Index classes = 80;
    Index cells() const { return size / 4 * (size / 4); }
    Index outputs() const { return (classes + 4) * cells(); }
};

/// A step of training of the small CenterNet of examples/train_centernet.cpp with AdamW, always on the same scenes.
/// Everyone begins with the same parameters; losses of so many steps are compared.
struct CenterNetStep {
    Index batch = 16, size = 128, most = 128;
    double learning_rate = 1e-3, weight_decay = 0.02;
    Array<float> images = noise(batch * 3 * size * size, 1);
    // Targets: marks on maps of 10 classes, and by object the cell, whether it is there, its size and offset.
    Array<float> heat = {}, mask = {}, sizes = {}, offsets = {};
    Array<Index> places = {};
    Weights weights = {};

    static constexpr Index classes = 10;
    static constexpr int compared = 3;
};

}  // namespace peers
