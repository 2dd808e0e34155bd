#pragma once
// What each library can race in. A problem that a library has no overload for gets no contestant from it, and a library
// that CMake did not find gets none at all.
#include "problems.hpp"
#include "problems_attention.hpp"
#include "problems_boxes.hpp"
#include "problems_centernet_mobilenet.hpp"
#include "problems_conv.hpp"
#include "problems_detectors.hpp"
#include "problems_training.hpp"

namespace peers {

#define LAMINA_PEER_ABSENT \
    inline void set_threads(int) {}
// Chosen for every problem without an overload of its own.
#define LAMINA_PEER_FALLBACK                  \
    template <class Problem>                  \
    Contestants contestants(const Problem&) { \
        return {};                            \
    }

namespace onednn {
LAMINA_PEER_FALLBACK
#if LAMINA_PEER_ONEDNN
void set_threads(int);
std::string version();
Contestants contestants(const Product<float>&);
Contestants contestants(const LinearGelu&);
Contestants contestants(const Softmax&);
Contestants contestants(const LayerNorm&);
Contestants contestants(const Gelu&);
Contestants contestants(const AddRelu&);
Contestants contestants(const Sum&);
Contestants contestants(const Permute&);
Contestants contestants(const Convolution&);
Contestants contestants(const TransposedConvolution&);
Contestants contestants(const ConvolutionStep&);
Contestants contestants(const BatchNormTraining&);
Contestants contestants(const MaxPool&);
#else
LAMINA_PEER_ABSENT
#endif
}  // namespace onednn

namespace openblas {
LAMINA_PEER_FALLBACK
#if LAMINA_PEER_OPENBLAS
void set_threads(int);
std::string version();
Contestants contestants(const Product<float>&);
Contestants contestants(const Product<double>&);
#else
LAMINA_PEER_ABSENT
#endif
}  // namespace openblas

namespace libtorch {
LAMINA_PEER_FALLBACK
#if LAMINA_PEER_LIBTORCH
void set_threads(int);
std::string version();
Contestants contestants(const Product<float>&);
Contestants contestants(const Product<double>&);
Contestants contestants(const LinearGelu&);
Contestants contestants(const Softmax&);
Contestants contestants(const LayerNorm&);
Contestants contestants(const Gelu&);
Contestants contestants(const AddRelu&);
Contestants contestants(const Sum&);
Contestants contestants(const Permute&);
Contestants contestants(const CrossEntropy&);
Contestants contestants(const OptimizerStep&);
Contestants contestants(const LoadWeights&);
Contestants contestants(const TrainingStep&);
Contestants contestants(const RandomFill&);
Contestants contestants(const Convolution&);
Contestants contestants(const TransposedConvolution&);
Contestants contestants(const ConvolutionStep&);
Contestants contestants(const PixelShuffle&);
Contestants contestants(const Upsample&);
Contestants contestants(const GroupNormSilu&);
Contestants contestants(const BatchNormTraining&);
Contestants contestants(const MaxPool&);
Contestants contestants(const BoxPairs&);
Contestants contestants(const PairwiseIou&);
Contestants contestants(const Suppression&);
Contestants contestants(const FocalLoss&);
Contestants contestants(const RoiAlign&);
Contestants contestants(const DeformedConvolution&);
Contestants contestants(const DecodePoints&);
Contestants contestants(const Network&);
Contestants contestants(const CenterNetForward&);
Contestants contestants(const CenterNetMobileNet&);
Contestants contestants(const CenterNetStep&);
Contestants contestants(const Attention&);
Contestants contestants(const LinearAttention&);
Contestants contestants(const GatedLayer&);
Contestants contestants(const EncoderLayer&);
#else
LAMINA_PEER_ABSENT
#endif
}  // namespace libtorch

namespace onnxruntime {
LAMINA_PEER_FALLBACK
// Loaded at run time: where the library is missing, there are no contestants and the version is "".
void set_threads(int);
std::string version();
Contestants contestants(const Product<float>&);
Contestants contestants(const Product<double>&);
Contestants contestants(const LinearGelu&);
Contestants contestants(const Softmax&);
Contestants contestants(const LayerNorm&);
Contestants contestants(const Gelu&);
Contestants contestants(const AddRelu&);
Contestants contestants(const Sum&);
Contestants contestants(const Permute&);
Contestants contestants(const Convolution&);
Contestants contestants(const TransposedConvolution&);
Contestants contestants(const DeformedConvolution&);
Contestants contestants(const PixelShuffle&);
Contestants contestants(const Upsample&);
Contestants contestants(const GroupNormSilu&);
Contestants contestants(const MaxPool&);
Contestants contestants(const Suppression&);
Contestants contestants(const RoiAlign&);
Contestants contestants(const Network&);
Contestants contestants(const CenterNetForward&);
Contestants contestants(const Attention&);
Contestants contestants(const EncoderLayer&);
Contestants contestants(const CenterNetMobileNet&);
}  // namespace onnxruntime

#undef LAMINA_PEER_ABSENT
#undef LAMINA_PEER_FALLBACK

/// Tells every library, ourselves included, how many threads to use.
void set_threads(int threads);

/// All contestants for a problem: ours first, then every peer's.
template <class Problem>
Contestants race(const Problem& problem, Contestants ours) {
    for (auto&& more : {onednn::contestants(problem), openblas::contestants(problem), libtorch::contestants(problem),
                        onnxruntime::contestants(problem)})
        ours.insert(ours.end(), more.begin(), more.end());
    return ours;
}

/// The rows of each file rows_*.cpp.
void add_gemm_rows(Rows& rows);
void add_stream_rows(Rows& rows);
void add_training_rows(Rows& rows);
void add_random_rows(Rows& rows);
void add_end_to_end_rows(Rows& rows);
void add_model_rows(Rows& rows);
void add_conv_rows(Rows& rows);
void add_image_rows(Rows& rows);
void add_boxes_rows(Rows& rows);
void add_centernet_mobilenet_rows(Rows& rows);
void add_detector_rows(Rows& rows);
void add_attention_rows(Rows& rows);

}  // namespace peers
