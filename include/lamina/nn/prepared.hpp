#pragma once
// Values derived from parameters, such as packed or folded weights: made on first use, made again after a change.
#include <lamina/core/tensor.hpp>

namespace lamina::inline LAMINA_ABI::nn {

/// Cache of one `Value` computed from tensors. Safe when several threads run the same layer. Copies start empty.
template <class Value>
class Prepared {
public:
    Prepared() = default;
    Prepared(const Prepared&) {}
    Prepared& operator=(const Prepared&) {
        keep(Ref<Entry>());
        return *this;
    }

    /// The value for these `sources`: the kept one, or `make()` when a source is another tensor or was written to.
    template <class Make, class... Sources>
    auto get(Make&& make, const Sources&... sources) const {
        return get_kind(0, make, sources...);
    }
    /// The same where values of several kinds can be made and the one of `kind` is wanted.
    template <class Make, class... Sources>
    auto get_kind(Index kind, Make&& make, const Sources&... sources) const {
        const Key key = key_of(kind, sources...);
        lock_.lock();
        Ref<Entry> entry = entry_;
        lock_.unlock();
        if (!entry || entry->key != key) {
            entry = Ref<Entry>(new Entry(make(), key));
            keep(entry);
        }
        return entry;
    }

private:
    /// The tensors a value came from; holding their storage keeps its address from being used again.
    struct Key {
        struct Source {
            Ref<Storage> storage;
            std::uint64_t version = 0;
            bool operator==(const Source&) const = default;
        };
        std::array<Source, 6> sources;
        Index kind = 0;
        bool operator==(const Key&) const = default;
    };
    struct Entry : RefCounted {
        Entry(Value v, Key k) : value(std::move(v)), key(k) {}
        Value value;
        Key key;
    };
    template <class... Sources>
    static Key key_of(Index kind, const Sources&... sources) {
        static_assert(sizeof...(Sources) <= 6);
        Key key;
        key.kind = kind;
        std::size_t i = 0;
        const auto add = [&](const auto& tensor) {
            if (tensor.defined()) key.sources[i] = {tensor.storage(), tensor.storage()->version()};
            ++i;
        };
        (add(sources), ...);
        return key;
    }
    void keep(Ref<Entry> entry) const {
        lock_.lock();
        std::swap(entry_, entry);
        lock_.unlock();
    }

    mutable memory::detail::SpinLock lock_;
    mutable Ref<Entry> entry_;
};

}  // namespace lamina::inline LAMINA_ABI::nn
