#pragma once
// The sizes that benchmarks use, each with the place in a model where it comes from.
#include <cstdint>
#include <vector>

namespace bench {

/// A matrix product [m, k] x [k, n], `batch` times; `weight` tells that the second matrix is known ahead.
struct Product {
    const char* site;
    std::int64_t m, n, k, batch = 1;
    bool weight = false;
};

inline constexpr Product products[] = {
    {.site = "square", .m = 1024, .n = 1024, .k = 1024},
    {.site = "diffusion unet, projection at 64x64", .m = 4096, .n = 320, .k = 320, .weight = true},
    {.site = "diffusion unet, feed-forward at 64x64", .m = 4096, .n = 2560, .k = 320, .weight = true},
    {.site = "text encoder, projection", .m = 77, .n = 768, .k = 768, .weight = true},
    {.site = "diffusion unet, projection at 16x16", .m = 256, .n = 1280, .k = 1280, .weight = true},
    {.site = "one token through a large layer", .m = 1, .n = 4096, .k = 4096, .weight = true},
    {.site = "small square", .m = 64, .n = 64, .k = 64},
    {.site = "diffusion unet, cross-attention scores", .m = 4096, .n = 77, .k = 40},
    {.site = "attention scores of 8 images, 12 heads", .m = 128, .n = 128, .k = 64, .batch = 96},
};

/// Fully connected layer with bias and GELU: the first half of a transformer's feed-forward block.
inline constexpr Product feed_forward{.site = "vision transformer", .m = 1024, .n = 3072, .k = 768, .weight = true};

/// Rows of a matrix that an operation treats one by one.
struct Rows {
    const char* site;
    std::int64_t rows, columns;
};
inline constexpr Rows softmax_rows{"self-attention at 64x64, one head", 4096, 4096};
inline constexpr Rows layer_norm_rows{"diffusion unet at 64x64", 4096, 320};
inline constexpr Rows gelu_rows{"diffusion unet, feed-forward at 64x64", 4096, 1280};
inline constexpr Rows cross_entropy_rows{"language model, 4096 tokens of 32000", 4096, 32000};

/// Elements of x and y in relu(x + y).
inline constexpr std::int64_t add_relu_count = 4 << 20;

/// A tensor summed over each of its axes, and one whose heads move in front of its positions.
inline constexpr std::int64_t sum_shape[4] = {256, 64, 64, 16};
inline constexpr std::int64_t permute_shape[4] = {8, 512, 64, 12};

/// Weights of an optimizer step (25 M) and of a checkpoint (200 MB).
struct Weights {
    std::int64_t tensors, rows, columns;
    constexpr std::int64_t count() const { return tensors * rows * columns; }
};
inline constexpr Weights adamw_weights{24, 1024, 1024};
inline constexpr Weights checkpoint_weights{50, 1024, 1024};

/// Elements of 400 tensors: the parameters of ResNet-50, weight and two vectors for every convolution, over and over.
inline std::vector<std::int64_t> resnet50_sizes() {
    std::vector<std::int64_t> sizes;
    const auto convolution = [&](std::int64_t out, std::int64_t in, std::int64_t kernel) {
        sizes.insert(sizes.end(), {out * in * kernel * kernel, out, out});
    };
    while (sizes.size() < 400) {
        convolution(64, 3, 7);
        std::int64_t in = 64, width = 64;
        for (const int blocks : {3, 4, 6, 3}) {
            for (int block = 0; block < blocks; ++block) {
                convolution(width, in, 1);
                convolution(width, width, 3);
                convolution(4 * width, width, 1);
                if (block == 0) convolution(4 * width, in, 1);
                in = 4 * width;
            }
            width *= 2;
        }
        sizes.insert(sizes.end(), {1000 * 2048, 1000});
    }
    sizes.resize(400);
    return sizes;
}

/// A square convolution of x [batch, in, size, size], the same margin on all sides.
struct Convolution {
    const char* site;
    std::int64_t in, out, size, kernel, stride = 1, padding = 0, groups = 1, batch = 1;
    constexpr std::int64_t result() const { return (size + 2 * padding - kernel) / stride + 1; }
};

inline constexpr Convolution convolutions[] = {
    {.site = "diffusion unet at 64x64", .in = 320, .out = 320, .size = 64, .kernel = 3, .padding = 1},
    {.site = "diffusion unet at 32x32", .in = 640, .out = 640, .size = 32, .kernel = 3, .padding = 1},
    {.site = "diffusion unet at 16x16", .in = 1280, .out = 1280, .size = 16, .kernel = 3, .padding = 1},
    {.site = "resnet, first", .in = 3, .out = 64, .size = 224, .kernel = 7, .stride = 2, .padding = 3},
    {.site = "resnet, stage 1", .in = 64, .out = 64, .size = 56, .kernel = 3, .padding = 1},
    {.site = "resnet, stage 2", .in = 128, .out = 128, .size = 28, .kernel = 3, .padding = 1},
    {.site = "resnet, stage 3", .in = 256, .out = 256, .size = 14, .kernel = 3, .padding = 1},
    {.site = "resnet, stage 4", .in = 512, .out = 512, .size = 7, .kernel = 3, .padding = 1},
    {.site = "resnet, between stages", .in = 128, .out = 128, .size = 56, .kernel = 3, .stride = 2, .padding = 1},
    {.site = "resnet, bottleneck in", .in = 256, .out = 64, .size = 56, .kernel = 1},
    {.site = "resnet, bottleneck out", .in = 512, .out = 2048, .size = 7, .kernel = 1},
    {.site = "mobilenet", .in = 144, .out = 144, .size = 56, .kernel = 3, .padding = 1, .groups = 144},
    {.site = "thundernet", .in = 245, .out = 245, .size = 20, .kernel = 5, .padding = 2, .groups = 245},
    {.site = "resnet, stage 1, batch 8", .in = 64, .out = 64, .size = 56, .kernel = 3, .padding = 1, .batch = 8},
    {.site = "diffusion decoder at 512x512", .in = 128, .out = 128, .size = 512, .kernel = 3, .padding = 1},
};
inline constexpr Convolution training_convolution{
    .site = "training at 28x28", .in = 64, .out = 64, .size = 28, .kernel = 3, .padding = 1, .batch = 32};

/// Feature maps that are enlarged twice, or shuffled.
struct Maps {
    std::int64_t channels, size;
    constexpr std::int64_t count() const { return channels * size * size; }
};
inline constexpr Maps upsampled{256, 64};

}  // namespace bench
