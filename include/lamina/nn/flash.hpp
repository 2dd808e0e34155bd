#pragma once
// FLASH: gated attention in chunks, quadratic within a chunk and linear across chunks, so that cost grows linearly with
// the length and a causal step needs constant memory. W. Hua et al., "Transformer Quality in Linear Time", ICML 2022.
#include <lamina/nn/gau.hpp>
#include <lamina/ops/comparison.hpp>
#include <lamina/ops/linear_attention.hpp>
#include <lamina/ops/mask.hpp>
#include <lamina/ops/matmul.hpp>

namespace lamina::inline LAMINA_ABI {

namespace kernels {

/// gate (near + far).
struct GatedSum {
    static constexpr const char* name = "gated_sum";
    template <class V>
    LAMINA_INLINE V operator()(V gate, V near, V far) const {
        return gate * (near + far);
    }
};

}  // namespace kernels

namespace nn {

/// What the causal linear part is divided by.
enum class FlashLinearNorm {
    group,  ///< the chunk's size: the sum grows with the number of chunks, as in FLASH-pytorch
    count   ///< the number of tokens in front of the chunk
};

/// Options of FLASH.
struct FlashConfig {
    Index group_size = 256;  ///< of a chunk
    Index query_key_dim = 128;
    double expansion = 2;
    bool causal = false;
    double dropout = 0;         ///< of the quadratic part's weights
    bool laplace = false;       ///< the Laplace function instead of the squared ReLU
    bool relative_bias = true;  ///< T5's within a chunk, learned; scaled by sqrt(query_key_dim)
    Index rotary_width = 32;    ///< features that rotate by position, at most query_key_dim; 0: none
    bool shift_tokens = false;
    FlashLinearNorm linear_norm = FlashLinearNorm::group;
    bool across_chunks = true;  ///< false: the linear part, too, stays within a chunk, unless causal
    bool residual = true;
};

/// y = (U * (V_quadratic + V_linear)) W_o + x; names are FLASH-pytorch's.
template <Real T = float, class Norm = LayerNorm<T>>
struct FLASH {
    static constexpr std::string_view kind = "FLASH";

    FlashConfig options;
    Norm norm;
    Linear<T> to_hidden;  ///< values, then the gate
    Linear<T> to_qk;
    OffsetScale<T> qk_offset_scale;  ///< quadratic queries, linear queries, quadratic keys, linear keys
    std::optional<RelativeBias<T>> rel_pos_bias;
    Linear<T> to_out;

    explicit FLASH(Index width, const FlashConfig& config = {})
        : options(config),
          norm(width),
          to_hidden(width, 2 * Index(double(width) * config.expansion)),
          to_qk(width, config.query_key_dim),
          qk_offset_scale(config.query_key_dim, 4),
          to_out(Index(double(width) * config.expansion), width) {
        require<ValueError>(config.group_size >= 1, "FLASH: group_size must be at least 1 but is ", config.group_size);
        if (config.relative_bias)
            rel_pos_bias.emplace(
                1, RelativeBiasConfig{.causal = config.causal, .scale = std::sqrt(double(config.query_key_dim))});
    }

    /// x [B, n, d] of any n; `keep` [B, n] is true for tokens that are no padding. Throws ShapeError.
    Tensor<T, 3> operator()(const Tensor<T, 3>& x, const Optional<bool, 2>& keep = {}) const {
        detail::check_keep("FLASH", x, keep);
        if (may_fuse() && (options.causal || options.across_chunks))
            return detail::gated_members(x, keep, [this](auto&&... args) { in_pieces(args...); });
        Parts p = project(detail::normed_rows(norm, options.shift_tokens, x, 0, x.dim(1)), 0);
        if (keep) p.linear_k = visible(p.linear_k, *keep);
        return finish(x, p.gate, quadratic(p, keep), linear_part(p));
    }

    /// What decoding keeps: the finished chunks' sum of products and the keys and values of the chunk at work.
    struct Cache {
        Tensor<T, 3> products;  ///< [B, query_key_dim, e]
        KeyValueCache<T> quadratic, linear;
        Tensor<T, 3> last;  ///< the features that the next token takes over when tokens are shifted
        Index size = 0;     ///< tokens so far
    };
    /// One token [B, 1, d] behind those in `cache`: the last row of a causal pass over all. Throws ShapeError for more
    /// tokens, ValueError when the layer is not causal.
    Tensor<T, 3> step(const Tensor<T, 3>& x, Cache& cache) const {
        require<ValueError>(options.causal, "FLASH: steps want a causal layer");
        require(x.dim(1) == 1, "FLASH: a step takes one token but got ", x.dim(1));
        const Index c = options.group_size;
        auto y = norm(x);
        if (options.shift_tokens) {
            const Index half = (y.dim(2) + 1) / 2;
            const auto own = slice(y, 2, 0, half).clone();
            y = cat<T, 3>({cache.last.defined() ? cache.last : zeros_like(own), slice(y, 2, half, y.dim(2))}, 2);
            cache.last = own;
        }
        const Parts p = project(y, cache.size);
        cache.quadratic.append(p.quad_k, p.v, 1);
        cache.linear.append(p.linear_k, p.linear_k, 1);
        const Index held = cache.quadratic.size();
        AttentionMask<T> mask;
        if (rel_pos_bias) mask.distance = rel_pos_bias->by_distance(1, held, held - 1);
        const auto values = squeeze(cache.quadratic.values(), 1);
        const auto near =
            multi_head_attention(p.quad_q, squeeze(cache.quadratic.keys(), 1), values, 1, mask, weights());
        const auto far = cache.products.defined() ? matmul(p.linear_q, cache.products) * T(chunk_scale(cache.size / c))
                                                  : zeros_like(near);
        if (++cache.size % c == 0) {
            const auto sum = matmul(transpose(squeeze(cache.linear.keys(), 1), 1, 2), values);
            cache.products = cache.products.defined() ? cache.products + sum : sum;
            cache.quadratic.truncate(0);
            cache.linear.truncate(0);
        }
        return finish(x, p.gate, near, far);
    }

    static void members(auto& self, auto&& visit) {
        visit("norm", self.norm);
        visit("to_hidden", self.to_hidden);
        visit("to_qk", self.to_qk);
        visit("qk_offset_scale", self.qk_offset_scale);
        visit("rel_pos_bias", self.rel_pos_bias);
        visit("to_out", self.to_out);
    }

private:
    struct Parts {
        Tensor<T, 3> quad_q, linear_q, quad_k, linear_k, v, gate;
    };
    Parts project(const Tensor<T, 3>& y, Index first) const {
        const auto hidden = chain(y, to_hidden, SiLU{}), z = chain(y, to_qk, SiLU{});
        const Index e = hidden.dim(2) / 2;
        return {head(z, 0, first), head(z, 1, first),      head(z, 2, first),
                head(z, 3, first), slice(hidden, 2, 0, e), slice(hidden, 2, e, 2 * e)};
    }
    /// Queries or keys number i at positions first, first + 1, ….
    Tensor<T, 3> head(const Tensor<T, 3>& z, Index i, Index first) const {
        const auto t = qk_offset_scale(z, i);
        const Index width = options.rotary_width < options.query_key_dim ? options.rotary_width : options.query_key_dim;
        return width > 0 ? rotary(t, {.width = width, .offset = first}) : t;
    }
    static Tensor<T, 3> visible(const Tensor<T, 3>& keys, const Tensor<bool, 2>& keep) {
        return masked_fill(keys, unsqueeze(logical_not(keep), 2), T(0));
    }

    /// Values and the sum of their products with keys stand for all rows only where all queries see all of them.
    void in_pieces(const Tensor<T, 3>& x, const OptionalTensor<bool, 2>& keep, T* to) const {
        const auto products = products_.of(to_hidden, to_out);
        const Index batch = x.dim(0), n = x.dim(1), d = x.dim(2), e = to_out.weight.dim(1), c = options.group_size;
        const Index s = options.query_key_dim, most = (detail::gated_piece + c - 1) / c * c,
                    piece = n < most ? n : most;
        const bool causal = options.causal;
        auto v = empty<T>(Shape{batch, causal ? piece : n, e}), sums = zeros<T>(Shape{batch, s, e});
        Tensor<T, 3> y, z, linear_k;
        const auto open = [&](Index begin, Index end) {
            y = contiguous(detail::normed_rows(norm, options.shift_tokens, x, begin, end));
            z = chain(y, to_qk, SiLU{});
            linear_k = head(z, 3, begin);
            if (keep) linear_k = visible(linear_k, view::slice(*keep, 1, begin, end));
        };
        const auto add_products = [&](Index row, Index v_row, Index count) {
            kernels::gemm_batched(batch, {s, e, count}, kernels::transposed(linear_k.data() + row * s, s),
                                  linear_k.dim(1) * s, kernels::row_major(v.data() + v_row * e, e), v.dim(1) * e,
                                  sums.mutable_data(), e, s * e, true);
        };
        for (Index i = 0; i < n && !causal; i += piece) {
            const Index end = i + piece < n ? i + piece : n;
            open(i, end);
            products.values(y, v.mutable_data() + i * e);
            add_products(0, i, end - i);
        }
        for (Index i = 0; i < n; i += piece) {
            const Index end = i + piece < n ? i + piece : n, count = end - i;
            if (causal || n > piece) open(i, end);
            if (causal) products.values(y, v.mutable_data());
            const auto q = head(z, 1, i) * divisors(i, end, n);
            const Parts p{
                head(z, 0, i), {}, head(z, 2, i), {}, view::slice(v, 1, causal ? 0 : i, causal ? count : end), {}};
            auto mixed = contiguous(quadratic(p, keep ? view::slice(*keep, 1, i, end) : OptionalTensor<bool, 2>()));
            for (Index g = 0; g < count; g += causal ? c : count) {
                const Index rows = causal && g + c < count ? c : count - g;
                if (!causal || i + g > 0)
                    kernels::gemm_batched(batch, {rows, e, s}, kernels::row_major(q.data() + g * s, s), count * s,
                                          kernels::row_major(sums.data(), e), s * e, mixed.mutable_data() + g * e, e,
                                          count * e, true);
                if (causal && i + g + rows < n) add_products(g, g, rows);
            }
            products.close(y, mixed, options.residual ? x.data() + i * d : nullptr, to + i * d);
        }
    }

    AttentionOptions weights() const {
        return {.scale = 1 / double(options.group_size),
                .dropout = options.dropout,
                .weighing = options.laplace ? Weighing::laplace : Weighing::relu_squared};
    }
    /// Zeros behind x [B, n, width] up to whole chunks.
    Tensor<T, 3> padded(const Tensor<T, 3>& x) const {
        const Index c = options.group_size, rest = (c - x.dim(1) % c) % c;
        return rest == 0 ? x : cat<T, 3>({x, zeros<T>(Shape{x.dim(0), rest, x.dim(2)})}, 1);
    }
    /// Attention within chunks: each is a member of a larger batch.
    Tensor<T, 3> quadratic(const Parts& p, const OptionalTensor<bool, 2>& keep) const {
        const Index c = options.group_size, batch = p.v.dim(0);
        const auto chunks = [&](const Tensor<T, 3>& x) {
            const auto whole = padded(x);
            return reshape(whole, Shape{batch * (whole.dim(1) / c), c, x.dim(2)});
        };
        AttentionMask<T> mask;
        if (rel_pos_bias) mask.distance = rel_pos_bias->by_distance(c, c);
        if (keep) {
            const Index n = (keep->dim(1) + c - 1) / c * c;
            auto all = zeros<bool>(Shape{batch, n});
            view::slice(all, 1, 0, keep->dim(1)).assign(*keep);
            mask.keep = reshape(all, Shape{batch * (n / c), Index(1), Index(1), c});
        }
        auto how = weights();
        if (options.causal) how.causal = Causal::top_left;
        const auto y = multi_head_attention(chunks(p.quad_q), chunks(p.quad_k), chunks(p.v), 1, mask, how);
        return first_rows(reshape(y, Shape{batch, (p.v.dim(1) + c - 1) / c * c, p.v.dim(2)}), p.v.dim(1));
    }
    static Tensor<T, 3> first_rows(const Tensor<T, 3>& x, Index n) { return x.dim(1) == n ? x : slice(x, 1, 0, n); }
    /// Of a causal linear part with `chunks` chunks in front.
    double chunk_scale(Index chunks) const {
        const double tokens = double(options.group_size);
        if (options.linear_norm == FlashLinearNorm::group) return 1 / tokens;
        return chunks > 0 ? 1 / (tokens * double(chunks)) : 0;
    }
    Tensor<T, 3> linear_part(const Parts& p) const {
        const Index c = options.group_size, n = p.v.dim(1);
        const LinearAttentionOptions how{.causal = options.causal, .normalize = false, .chunk = c, .own_chunk = false};
        const auto one_head = [&](const Tensor<T, 3>& x) { return unsqueeze(padded(x), 1); };
        // Divided are the queries, which are narrower than the results.
        const auto q = p.linear_q * divisors(0, n, n);
        if (!options.causal && !options.across_chunks) {
            const Index batch = p.v.dim(0), groups = (n + c - 1) / c;
            const auto apart = [&](const Tensor<T, 3>& x) {
                return reshape(padded(x), Shape{batch * groups, Index(1), c, x.dim(2)});
            };
            const auto y = linear_attention(apart(q), apart(p.linear_k), apart(p.v), how);
            return first_rows(reshape(y, Shape{batch, groups * c, p.v.dim(2)}), n);
        }
        return first_rows(squeeze(linear_attention(one_head(q), one_head(p.linear_k), one_head(p.v), how), 1), n);
    }
    /// What the linear part of queries [begin, end) of n is multiplied by, [1, 1] or [end - begin, 1].
    Tensor<T, 2> divisors(Index begin, Index end, Index n) const {
        const bool each = options.causal && options.linear_norm == FlashLinearNorm::count;
        auto factors = empty<T>(Shape{each ? end - begin : Index(1), Index(1)});
        for (Index i = 0; i < factors.dim(0); ++i)
            factors.mutable_data()[i] = T(each             ? chunk_scale((begin + i) / options.group_size)
                                          : options.causal ? chunk_scale(1)
                                          : n > 0          ? 1 / double(n)
                                                           : 1);
        return factors;
    }
    Tensor<T, 3> finish(const Tensor<T, 3>& x, const Tensor<T, 3>& gate, const Tensor<T, 3>& near,
                        const Tensor<T, 3>& far) const {
        const auto y = to_out(map(kernels::GatedSum{}, gate, near, far));
        return observed(*this, options.residual ? y + x : y);
    }

    detail::GatedProducts<T> products_;
};

}  // namespace nn
}  // namespace lamina::inline LAMINA_ABI
