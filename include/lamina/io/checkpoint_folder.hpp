#pragma once
// The checkpoints of a run in a folder: the last few and the best one are kept.
#include <lamina/io/checkpoint.hpp>

#include <dirent.h>
#include <sys/stat.h>

#include <limits>

namespace lamina::inline LAMINA_ABI::io {

/// Which checkpoints stay.
struct CheckpointFolderOptions {
    Index keep_last = 3;            ///< at least 1
    bool keep_best = true;          ///< the one of the best score too
    bool larger_is_better = false;  ///< scores are losses otherwise
};

/// Writes `step-000000123.safetensors` files into a folder, which it creates, and removes old ones. A program that is
/// started again finds them there.
class CheckpointFolder {
public:
    /// Throws IoError when there can be no such folder, ValueError for keep_last < 1.
    explicit CheckpointFolder(std::string folder, const CheckpointFolderOptions& options = {});

    /// One checkpoint, durably on the disk when this returns; then old ones are removed. `score` is what `best` goes
    /// by; NaN is never best. Throws IoError.
    template <class... X>
    void save(Index step, double score, const Part<X>&... parts) {
        prune();  // a killed program may have left more
        save_checkpoint(path_of(step), part("checkpoint.step", std::as_const(step)),
                        part("checkpoint.score", std::as_const(score)), parts...);
        remember({step, score});
    }
    /// Sets all parts to the last checkpoint. False when there is none yet. Throws as load_checkpoint.
    template <class... X>
    bool resume(const Part<X>&... parts) const {
        if (entries_.empty()) return false;
        load_checkpoint(latest(), parts...);
        return true;
    }
    /// Path of the checkpoint of the highest step or of the best score; empty when there is none.
    std::string latest() const { return entries_.empty() ? std::string() : path_of(entries_.back().step); }
    std::string best() const {
        const Entry* found = best_entry();
        return found ? path_of(found->step) : std::string();
    }
    /// Steps whose checkpoints exist, rising.
    std::vector<Index> steps() const {
        std::vector<Index> out;
        for (const Entry& entry : entries_) out.push_back(entry.step);
        return out;
    }

private:
    struct Entry {
        Index step;
        double score;
    };
    static constexpr std::string_view beginning = "step-", ending = ".safetensors", partial = ".partial";

    std::string path_of(Index step) const {
        char name[48];
        std::snprintf(name, sizeof name, "/step-%09lld.safetensors", static_cast<long long>(step));
        return folder_ + name;
    }
    const Entry* best_entry() const {
        const Entry* found = nullptr;
        for (const Entry& entry : entries_) {
            if (entry.score != entry.score) continue;
            if (!found || (options_.larger_is_better ? entry.score > found->score : entry.score < found->score))
                found = &entry;
        }
        return found;
    }
    void remember(Entry entry);
    void prune();
    void remove_leftover(const std::string& path) const;

    std::string folder_;
    CheckpointFolderOptions options_;
    std::vector<Entry> entries_;  ///< by rising step
};

inline CheckpointFolder::CheckpointFolder(std::string folder, const CheckpointFolderOptions& options)
    : folder_(std::move(folder)),
      options_(options) {
    require<ValueError>(options.keep_last >= 1, "CheckpointFolder: keep_last must be at least 1 but is ",
                        options.keep_last);
    if (::mkdir(folder_.c_str(), 0777) != 0 && errno != EEXIST)
        detail::fail_errno("CheckpointFolder", folder_, "must be a folder that can be made");
    ::DIR* const directory = ::opendir(folder_.c_str());
    if (!directory) detail::fail_errno("CheckpointFolder", folder_, "must be a folder");
    std::vector<std::string> names;
    while (const ::dirent* entry = ::readdir(directory)) names.emplace_back(entry->d_name);
    ::closedir(directory);
    for (const std::string& name : names) {
        if (!name.starts_with(beginning)) continue;
        const std::string path = folder_ + "/" + name;
        if (name.ends_with(partial)) remove_leftover(path);
        if (!name.ends_with(ending)) continue;
        const StateDict tensors = read_safetensors(path).tensors;
        const AnyTensor *step = tensors.find("checkpoint.step/value"), *score = tensors.find("checkpoint.score/value");
        if (!step || !score) continue;
        entries_.push_back({step->as<std::int64_t, 0>().item(), score->as<double, 0>().item()});
    }
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.step < b.step; });
}

inline void CheckpointFolder::remember(Entry entry) {
    std::erase_if(entries_, [&](const Entry& old) { return old.step == entry.step; });
    auto at = entries_.begin();
    while (at != entries_.end() && at->step < entry.step) ++at;
    entries_.insert(at, entry);
    prune();
}

/// Removes what need not be kept.
inline void CheckpointFolder::prune() {
    const Entry* const best = options_.keep_best ? best_entry() : nullptr;
    const Index best_step = best ? best->step : -1, first_kept = Index(entries_.size()) - options_.keep_last;
    std::vector<Entry> kept;
    for (Index i = 0; i < Index(entries_.size()); ++i) {
        const Entry& old = entries_[std::size_t(i)];
        if (i >= first_kept || old.step == best_step) kept.push_back(old);
        else ::unlink(path_of(old.step).c_str());
    }
    entries_ = std::move(kept);
}

/// A killed writer leaves its partial file; one that is locked belongs to a writer at work.
inline void CheckpointFolder::remove_leftover(const std::string& path) const {
    const detail::Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (file.fd >= 0 && ::flock(file.fd, LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
}

}  // namespace lamina::inline LAMINA_ABI::io
