#pragma once
// Many arrays as one list of chunks: the work of a pass over a whole model, in one parallel loop.
#include <lamina/parallel/for.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::kernels {

/// Elements updated in one task.
inline constexpr Index update_chunk = 16384;

/// Cuts arrays of different lengths into chunks that are counted through.
class ChunkList {
public:
    explicit ChunkList(std::size_t arrays) { first_.reserve(arrays + 1); }
    void add(Index count) {
        first_.push_back(chunks_);
        chunks_ += (count + update_chunk - 1) / update_chunk;
    }
    Index size() const { return chunks_; }
    /// Calls f(array, begin): where chunk number `chunk` lies.
    template <class F>
    void find(Index chunk, F&& f) const {
        std::size_t low = 0, high = first_.size();  // the last array that begins at or before the chunk
        while (high - low > 1) {
            const std::size_t middle = (low + high) / 2;
            (first_[middle] <= chunk ? low : high) = middle;
        }
        f(low, (chunk - first_[low]) * update_chunk);
    }

private:
    std::vector<Index> first_;
    Index chunks_ = 0;
};

/// Calls f(array, begin, end) in parallel for chunks of arrays of `count_of(array)` elements.
template <class Count, class F>
void for_each_chunk(std::size_t arrays, Count&& count_of, F&& f) {
    ChunkList chunks(arrays);
    for (std::size_t i = 0; i < arrays; ++i) chunks.add(count_of(i));
    const auto run = [&](Index chunk) {
        chunks.find(chunk, [&](std::size_t array, Index begin) {
            const Index left = count_of(array) - begin;
            f(array, begin, begin + (left < update_chunk ? left : update_chunk));
        });
    };
    parallel::for_each(chunks.size(), run);
}

}  // namespace lamina::inline LAMINA_ABI::kernels
