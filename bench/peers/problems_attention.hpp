#pragma once
// The workloads of attention with and without softmax, and of whole layers around it.
#include "problems.hpp"

namespace peers {

/// softmax(Q K^T / sqrt(width)) V for heads that lie one after another: q [batch, heads, queries, width], k and v
/// [batch, heads, keys, width]. With `training` also the gradients of q, k and v, which are then the result, for dy.
struct Attention {
    Index batch, heads, queries, keys, width;
    bool causal = false, training = false;
    Array<float> q = noise(batch * heads * queries * width, 1), k = noise(batch * heads * keys * width, 2),
                 v = noise(batch * heads * keys * width, 3), dy = noise(q.size(), 4);
};

/// (phi(Q) (phi(K)^T V)) / (phi(Q) sum phi(K)) with phi = elu + 1 for arrays [1, heads, n, width], causal or not; with
/// `training` as above.
struct LinearAttention {
    Index heads, n, width;
    bool causal = false, training = false;
    Array<float> q = noise(heads * n * width, 1), k = noise(heads * n * width, 2), v = noise(heads * n * width, 3),
                 dy = noise(q.size(), 4);
};

/// A gated attention layer of FLASH-pytorch's on x [1, n, width]: normalisation in front, residual sum, values and gate
/// of twice the width. `gau`: relu(q k / sqrt(s))² / n over all pairs; `flash`: causal, relu(q k / group + bias)²
/// within groups and linear attention across them, features 0 to 31 of queries and keys rotated. With `training` also
/// all gradients, of which that of the projection to queries and keys is the result.
struct GatedLayer {
    enum class Kind { gau, flash } kind;
    Index n;
    bool training = false;
    Index width = 512, hidden = 1024, query_key = 128, group = 256;
    std::map<std::string, Array<float>> weights = {};
    Array<float> x = small(noise(n * width, 1)), dy = noise(n * width, 2);

    Index outputs() const { return training ? query_key * width : n * width; }

private:
    /// Next to inputs as small as these the branch shows in the residual sum.
    static Array<float> small(Array<float> a) {
        for (Index i = 0; i < a.size(); ++i) a[i] *= 0.03f;
        return a;
    }
};

/// torch.nn.TransformerEncoderLayer on x [batch, n, width]: post-norm, ReLU, no dropout. With `training` also all
/// gradients, of which that of the projection to queries, keys and values is the result.
struct EncoderLayer {
    Index batch, n, width, heads, hidden;
    bool training = false;
    std::map<std::string, Array<float>> weights = {};
    Array<float> x = noise(batch * n * width, 1), dy = noise(batch * n * width, 2);

    Index outputs() const { return training ? 3 * width * width : batch * n * width; }
};

}  // namespace peers
