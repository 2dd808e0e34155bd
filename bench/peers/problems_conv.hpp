#pragma once
// The workloads of convolutions and of what stands beside them in image networks.
#include "../shapes.hpp"
#include "problems.hpp"

namespace peers {

/// y = conv(x, weight) + bias, with the weight known ahead.
struct Convolution : bench::Convolution {
    explicit Convolution(const bench::Convolution& c) : bench::Convolution(c) {}
    Array<float> x = noise(batch * in * size * size, 1), bias = noise(out, 3), weight = scaled_weight();

    Index weights() const { return out * (in / groups) * kernel * kernel; }
    Index outputs() const { return batch * out * result() * result(); }
    double flops() const { return 2.0 * double(outputs()) * double(in / groups * kernel * kernel); }

private:
    /// Results of about the inputs' size, so that agreement means the same at every shape.
    Array<float> scaled_weight() const {
        auto w = noise(weights(), 2);
        const float scale = 1 / std::sqrt(float(in / groups * kernel * kernel));
        for (Index i = 0; i < w.size(); ++i) w[i] *= scale;
        return w;
    }
};

/// y = conv_transpose(x, weight [in, out, kernel, kernel]).
struct TransposedConvolution {
    Index in, out, size, kernel, stride, padding;
    Array<float> x = noise(in * size * size, 1), weight = noise(in * out * kernel * kernel, 2);

    Index result() const { return (size - 1) * stride - 2 * padding + kernel; }
    Index outputs() const { return out * result() * result(); }
};

/// The convolution, and its gradients with respect to input and weight, given dL/dy; the result is that of the weight.
struct ConvolutionStep {
    Convolution forward;
    Array<float> dy = noise(forward.outputs(), 4);
};

/// y = deform_conv2d(x [1, channels, size, size], offset, weight), 3x3, padding 1, offsets of about a pixel.
struct DeformedConvolution {
    Index channels, size;
    Array<float> x = noise(channels * size * size, 1), offset = noise(18 * size * size, 2),
                 weight = noise(channels * channels * 9, 3);

    Index outputs() const { return channels * size * size; }
};

/// PixelShuffle by `factor` of x [channels, size, size].
struct PixelShuffle {
    Index channels, size, factor;
    Array<float> x = noise(channels * size * size, 1);
};

/// Enlargement by two of x [channels, size, size]; half-pixel coordinates.
struct Upsample {
    enum class Mode { nearest, bilinear, bicubic } mode;
    Index channels, size;
    Array<float> x = noise(channels * size * size, 1);

    Index outputs() const { return 4 * x.size(); }
};

/// silu(group_norm(x [channels, size, size])), eps 1e-5.
struct GroupNormSilu {
    Index channels, size, groups;
    Array<float> x = noise(channels * size * size, 1), scale = noise(channels, 2), shift = noise(channels, 3);
};

/// Batch normalisation of x [batch, channels, size, size] by its own statistics, running ones kept.
struct BatchNormTraining {
    Index batch, channels, size;
    Array<float> x = noise(batch * channels * size * size, 1), scale = noise(channels, 2), shift = noise(channels, 3);
};

/// Largest of 3x3 windows, stride 2, padding 1, of x [channels, size, size].
struct MaxPool {
    Index channels, size;
    Array<float> x = noise(channels * size * size, 1);

    Index result() const { return (size + 1) / 2; }
};

/// A whole network on x [1, 3, size, size], with parameters by torchvision's names.
struct Network {
    enum class Kind { resnet18, mobilenet_v3_small } kind;
    Index size = 224;
    Array<float> x = noise(3 * size * size, 1);
    std::map<std::string, Array<float>> weights = {};
};

}  // namespace peers
