#pragma once
// What a dataset is, and batches made of its samples.
#include <lamina/core/create.hpp>
#include <lamina/random/rng.hpp>

#include <tuple>
#include <vector>

namespace lamina::inline LAMINA_ABI::data {

/// Anything with `size()` and `operator[](i)`, which must be callable from several threads at once. A sample is a
/// tensor, a number, or a tuple of those. A dataset with `get(i, rng)` may be random: `rng` follows from seed, epoch
/// and sample alone.
template <class D>
concept Dataset = requires(const D& dataset, Index i) {
    Index(dataset.size());
    dataset[i];
};

namespace detail {

template <class X>
inline constexpr bool is_tuple = false;
template <class... X>
inline constexpr bool is_tuple<std::tuple<X...>> = true;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;

/// Sample i, drawn with its own generator where the dataset takes one.
template <class D>
auto sample_of(const D& dataset, Index i, random::Rng& rng) {
    if constexpr (requires { dataset.get(i, rng); }) return dataset.get(i, rng);
    else return dataset[i];
}
template <class D>
using SampleOf = decltype(sample_of(std::declval<const D&>(), Index(), std::declval<random::Rng&>()));

/// One row of a batch of numbers.
template <Element T>
Tensor<T, 1> stack_parts(const std::vector<T>& values) {
    auto out = empty<T>(Shape{Index(values.size())});
    std::copy(values.begin(), values.end(), out.mutable_data());
    return out;
}
template <Element T, int R>
Tensor<T, R + 1> stack_parts(const std::vector<Tensor<T, R>>& values) {
    Shape<R + 1> shape;
    shape[0] = Index(values.size());
    const Shape<R> each = values.empty() ? Shape<R>{} : values[0].shape();
    for (int d = 0; d < R; ++d) shape[d + 1] = each[d];
    auto out = empty<T>(shape);
    T* to = out.mutable_data();
    for (std::size_t i = 0; i < values.size(); ++i) {
        const Tensor<T, R>& value = values[i];
        require(value.shape() == each, "collate: samples must have one shape but sample 0 of the batch has ", each,
                " and sample ", Index(i), " has ", value.shape());
        const Tensor<T, R> dense = value.is_contiguous() ? value : value.clone();
        to = std::copy_n(dense.data(), dense.numel(), to);
    }
    return out;
}

}  // namespace detail

/// Samples as one batch: tensors [...] stacked to [N, ...], numbers to [N], tuples member by member. Throws ShapeError
/// when samples differ in shape.
template <class Sample>
auto collate(const std::vector<Sample>& samples) {
    if constexpr (detail::is_tuple<Sample>) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            const auto member = [&]<std::size_t K>(std::integral_constant<std::size_t, K>) {
                std::vector<std::tuple_element_t<K, Sample>> parts;
                parts.reserve(samples.size());
                for (const Sample& sample : samples) parts.push_back(std::get<K>(sample));
                return detail::stack_parts(parts);
            };
            return std::tuple(member(std::integral_constant<std::size_t, I>{})...);
        }
        (std::make_index_sequence<std::tuple_size_v<Sample>>{});
    } else {
        return detail::stack_parts(samples);
    }
}

/// Rows of tensors that lie in memory: sample i is the tuple of row i of each.
template <class... Tensors>
class Rows {
public:
    /// Throws ShapeError when the tensors have different numbers of rows.
    explicit Rows(Tensors... tensors) : tensors_(std::move(tensors)...) {
        std::apply(
            [&](const auto& first, const auto&... rest) {
                (require(first.dim(0) == rest.dim(0), "Rows: tensors must have one number of rows (", first.shape(),
                         " and ", rest.shape(), ")"),
                 ...);
            },
            tensors_);
    }
    Index size() const { return std::get<0>(tensors_).dim(0); }
    auto operator[](Index i) const {
        return std::apply([i](const auto&... tensor) { return std::tuple(row(tensor, i)...); }, tensors_);
    }

private:
    template <class T, int R>
    static auto row(const Tensor<T, R>& x, Index i) {
        require<ValueError>(i >= 0 && i < x.dim(0), "Rows: index ", i, " must lie in [0, ", x.dim(0), ")");
        if constexpr (R == 1) return T(x(i));
        else {
            Shape<R - 1> shape;
            Strides<R - 1> strides{};
            for (int d = 1; d < R; ++d) {
                shape[d - 1] = x.shape()[d];
                strides[std::size_t(d - 1)] = x.strides()[std::size_t(d)];
            }
            return Tensor<T, R - 1>(x.storage(), const_cast<T*>(x.data()) + i * x.strides()[0], shape, strides);
        }
    }
    std::tuple<Tensors...> tensors_;
};

/// Dataset `base` with every sample passed through `change(sample, rng)`, for augmentations.
template <Dataset D, class F>
class Mapped {
public:
    Mapped(D base, F change) : base_(std::move(base)), change_(std::move(change)) {}
    Index size() const { return Index(base_.size()); }
    auto get(Index i, random::Rng& rng) const { return change_(detail::sample_of(base_, i, rng), rng); }
    auto operator[](Index i) const {
        random::Rng rng(0, std::uint64_t(i) << 20);
        return get(i, rng);
    }

private:
    D base_;
    F change_;
};

/// The first `count` samples after `begin`, for splitting a dataset. Throws ValueError when they reach past its end.
template <Dataset D>
class Slice {
public:
    Slice(D base, Index begin, Index count) : base_(std::move(base)), begin_(begin), count_(count) {
        const Index size = Index(base_.size());
        require<ValueError>(begin >= 0 && count >= 0 && begin <= size && count <= size - begin, "Slice: ", count,
                            " samples from ", begin, " on must lie in [0, ", size, ")");
    }
    Index size() const { return count_; }
    auto get(Index i, random::Rng& rng) const { return detail::sample_of(base_, begin_ + i, rng); }
    auto operator[](Index i) const { return base_[begin_ + i]; }

private:
    D base_;
    Index begin_, count_;
};

}  // namespace lamina::inline LAMINA_ABI::data
