#pragma once
// Batches of a dataset, made ahead of time by worker threads. Order, augmentation and batches follow from the seed
// and the epoch alone: any number of workers gives the same.
#include <lamina/data/dataset.hpp>
#include <lamina/parallel/pool.hpp>
#include <lamina/random/permutation.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace lamina::inline LAMINA_ABI::data {

/// Options of Loader.
struct LoaderOptions {
    Index batch_size = 1;
    bool shuffle = false;
    bool drop_last = false;  ///< leave out a last batch that is not full
    int workers = 0;         ///< threads that make batches; 0: the caller's own, when it asks
    Index prefetch = 2;      ///< batches that each worker may be ahead
    std::uint64_t seed = 0;  ///< of order and augmentation
    /// Share of the samples for one of several processes: every `ranks`-th of the order, beginning with `rank`. Batch b
    /// of all ranks together is batch b of one loader with `ranks` times the batch_size. What is over when `ranks` does
    /// not divide the samples is left out, so that all have the same number of batches.
    Index rank = 0, ranks = 1;
};

namespace detail {

/// Number of samples in the share of one process.
inline Index share_of(Index samples, const LoaderOptions& options) { return samples / options.ranks; }

}  // namespace detail

/// What the iteration of an epoch knows: which samples its batches hold, and how to make one.
template <Dataset D>
class EpochPlan {
public:
    using Batch = decltype(collate(std::declval<const std::vector<detail::SampleOf<D>>&>()));

    EpochPlan(const D& dataset, const LoaderOptions& options, Index epoch)
        : dataset_(&dataset),
          options_(options),
          key_{options.seed ^ 0x64617461u, std::uint64_t(epoch)} {
        if (!options.shuffle) return;
        order_.resize(std::size_t(dataset.size()));
        random::permutation(key_, order_.data(), Index(order_.size()));
    }
    Batch make(Index batch) const {
        const Index size = detail::share_of(Index(dataset_->size()), options_), begin = batch * options_.batch_size;
        const Index end = options_.batch_size < size - begin ? begin + options_.batch_size : size;
        std::vector<detail::SampleOf<D>> samples;
        samples.reserve(std::size_t(end - begin));
        for (Index at = begin; at < end; ++at) {
            const Index place = at * options_.ranks + options_.rank;
            const Index i = options_.shuffle ? order_[std::size_t(place)] : place;
            // Streams of one sample begin 2^20 apart, those of one epoch 2^52.
            random::Rng rng(key_.seed, (key_.stream + 1) << 52 | std::uint64_t(i) << 20);
            samples.push_back(detail::sample_of(*dataset_, i, rng));
        }
        return collate(samples);
    }

private:
    const D* dataset_;
    LoaderOptions options_;
    random::Key key_;
    std::vector<Index> order_;
};

/// One pass over a dataset: `for (const auto& [images, labels] : loader.epoch(3))`. An exception of the dataset
/// arrives where its batch would have.
template <Dataset D>
class Epoch {
public:
    using Batch = typename EpochPlan<D>::Batch;

    Epoch(const D& dataset, const LoaderOptions& options, Index epoch, Index first, Index count)
        : plan_(dataset, options, epoch),
          next_(first),
          taken_(first),
          count_(count),
          slots_(std::size_t(options.workers > 0 ? options.workers * options.prefetch : 0)) {
        for (int i = 0; i < options.workers; ++i) workers_.emplace_back([this] { work(); });
    }
    Epoch(const Epoch&) = delete;
    Epoch& operator=(const Epoch&) = delete;
    ~Epoch() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_all();
        for (std::thread& worker : workers_) worker.join();
    }

    /// The next batch, nothing after the last.
    std::optional<Batch> next() {
        if (taken_ >= count_) return std::nullopt;
        if (workers_.empty()) return plan_.make(taken_++);
        Slot& slot = slots_[std::size_t(taken_) % slots_.size()];
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return slot.batch || slot.failure; });
        std::optional<Batch> batch = std::move(slot.batch);
        const std::exception_ptr failure = std::exchange(slot.failure, nullptr);
        slot.batch.reset();
        ++taken_;
        lock.unlock();
        changed_.notify_all();
        if (failure) std::rethrow_exception(failure);
        return batch;
    }

    /// Input iterator over what `next` returns.
    struct Iterator {
        Epoch* epoch;
        std::optional<Batch> batch;
        const Batch& operator*() const { return *batch; }
        Iterator& operator++() {
            batch = epoch->next();
            return *this;
        }
        bool operator!=(std::nullptr_t) const { return batch.has_value(); }
    };
    Iterator begin() { return {this, next()}; }
    std::nullptr_t end() const { return nullptr; }

private:
    struct Slot {
        std::optional<Batch> batch;
        std::exception_ptr failure;
    };
    void work() {
        // Small tensor work of a loader must not take the pool from the model that trains meanwhile.
        parallel::detail::inside_task = true;
        for (;;) {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return stopped_ || next_ >= count_ || next_ < taken_ + Index(slots_.size()); });
            if (stopped_ || next_ >= count_) return;
            const Index mine = next_++;
            lock.unlock();
            std::optional<Batch> batch;
            std::exception_ptr failure;
            try {
                batch.emplace(plan_.make(mine));
            } catch (...) { failure = std::current_exception(); }
            lock.lock();
            Slot& slot = slots_[std::size_t(mine) % slots_.size()];
            slot.batch = std::move(batch);
            slot.failure = std::move(failure);
            lock.unlock();
            changed_.notify_all();
        }
    }

    EpochPlan<D> plan_;
    Index next_, taken_;
    const Index count_;
    std::vector<Slot> slots_;
    bool stopped_ = false;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::thread> workers_;
};

/// Batches of `dataset`, epoch by epoch.
template <Dataset D>
class Loader {
public:
    /// Throws ValueError for batch_size or prefetch < 1, workers < 0, or rank outside [0, ranks).
    explicit Loader(D dataset, const LoaderOptions& options = {}) : dataset_(std::move(dataset)), options_(options) {
        require<ValueError>(options.batch_size >= 1 && options.prefetch >= 1 && options.workers >= 0,
                            "Loader: batch_size and prefetch must be at least 1 and workers at least 0, but are ",
                            options.batch_size, ", ", options.prefetch, " and ", options.workers);
        require<ValueError>(options.rank >= 0 && options.rank < options.ranks,
                            "Loader: rank must lie in [0, ranks) but is ", options.rank, " of ", options.ranks);
    }
    const D& dataset() const { return dataset_; }
    /// Number of batches in an epoch.
    Index size() const {
        const Index samples = detail::share_of(Index(dataset_.size()), options_);
        const bool rest = !options_.drop_last && samples % options_.batch_size != 0;
        return samples / options_.batch_size + Index(rest);
    }
    /// The batches of epoch `epoch`, from batch `first` on: a run resumes where it stopped. The loader must outlive
    /// them. Throws ValueError for a negative number.
    Epoch<D> epoch(Index epoch, Index first = 0) const {
        require<ValueError>(epoch >= 0 && first >= 0, "Loader: epoch and first batch must not be negative but are ",
                            epoch, " and ", first);
        return Epoch<D>(dataset_, options_, epoch, first, size());
    }

private:
    D dataset_;
    LoaderOptions options_;
};

}  // namespace lamina::inline LAMINA_ABI::data
