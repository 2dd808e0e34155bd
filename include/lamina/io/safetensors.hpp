#pragma once
// Checkpoints in the safetensors format (huggingface/safetensors, README "Format"): eight bytes of header length, a
// JSON header, then the elements of all tensors end to end. Files are taken for hostile: every offset is checked.
#include <lamina/io/atomic_file.hpp>
#include <lamina/io/json.hpp>
#include <lamina/io/mapped_tensor.hpp>
#include <lamina/io/sorted_order.hpp>

namespace lamina::inline LAMINA_ABI::io {

/// Free text that a file carries beside its tensors.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// Everything in a safetensors file.
struct Safetensors {
    StateDict tensors;  ///< in the order of the header
    Metadata metadata;
};

/// Reads a safetensors file. The elements stay in the mapped file, without a copy, wherever they are aligned for
/// their type; writing to such a tensor does not reach the file. Throws IoError naming file and tensor.
Safetensors read_safetensors(const std::string& path);

/// The tensors alone. A path that ends in `.index.json` names a sharded set: all its tensors are read.
StateDict load_safetensors(const std::string& path);

/// Writes all tensors so that a crash at any moment leaves the old file or the new one (see AtomicFile). Layout as the
/// reference writes it: wide element types first, then by name. Throws IoError, ValueError for names that repeat or
/// are not UTF-8 or `__metadata__`.
void save_safetensors(const std::string& path, const StateDict& state, const Metadata& metadata = {});

namespace detail {

inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

/// Element types in the order in which the reference writes them, widest first.
struct SafetensorsType {
    std::string_view name;
    DType dtype;
};
inline constexpr SafetensorsType safetensors_types[] = {
    {"I64", DType::i64}, {"F64", DType::f64}, {"F32", DType::f32}, {"I32", DType::i32}, {"BF16", DType::bf16},
    {"F16", DType::f16}, {"I16", DType::i16}, {"I8", DType::i8},   {"U8", DType::u8},   {"BOOL", DType::boolean}};

inline int safetensors_rank(DType dtype) {
    int i = 0;
    while (safetensors_types[i].dtype != dtype) ++i;
    return i;
}

/// One line of a header.
struct SafetensorsEntry {
    std::string name;
    DType dtype{};
    std::vector<Index> shape;
    std::uint64_t begin = 0, end = 0;
};

/// Reads and checks the header of one file.
class SafetensorsReader {
public:
    explicit SafetensorsReader(const std::string& path)
        : file_(new MappedFile(op, path)),
          where_(message(op, ": \"", path, "\"")) {
        const std::uint64_t header = header_length();
        const std::string_view text = file_->text().substr(8, header);
        require<IoError>(text.front() == '{', where_, ": the header must begin with '{'");
        parse(text);
        data_ = 8 + header;
        check_names();
        check_tensors();
        check_tiling();
    }

    Safetensors take() && {
        std::vector<NamedTensor> items;
        items.reserve(entries_.size());
        for (auto& entry : entries_) {
            AnyTensor tensor = view(entry);
            items.push_back({std::move(entry.name), std::move(tensor)});
        }
        return {StateDict::of_distinct(std::move(items)), std::move(metadata_)};
    }

private:
    static constexpr std::string_view op = "load_safetensors";

    std::uint64_t header_length() const {
        std::uint64_t length = 0;
        require<IoError>(file_->size() >= 8, where_, ": the file must hold 8 bytes of header length but has ",
                         file_->size());
        std::memcpy(&length, file_->data(), 8);
        require<IoError>(length <= safetensors_header_limit, where_, ": the header must not exceed ",
                         safetensors_header_limit, " bytes but claims ", length);
        require<IoError>(length >= 2 && length <= file_->size() - 8, where_, ": the header claims ", length,
                         " bytes and must fit the ", file_->size() - 8, " that follow");
        return length;
    }

    void parse(std::string_view text) {
        JsonReader json(where_, text);
        bool has_metadata = false;
        json.object([&](const std::string& name) {
            if (name != "__metadata__") return parse_entry(json, name);
            require<IoError>(!has_metadata, where_, ": __metadata__ must appear once");
            has_metadata = true;
            json.object([&](const std::string& key) { metadata_.emplace_back(key, json.string()); });
        });
        json.end();
    }

    void parse_entry(JsonReader& json, const std::string& name) {
        SafetensorsEntry entry;
        entry.name = name;
        bool dtype = false, shape = false;
        int offsets = 0;
        const auto once = [&](bool first, const std::string& key) {
            require<IoError>(first, of(entry), " must have one ", key, " but has more");
        };
        const auto natural = [&](std::string_view what) {
            const Index value = json.integer();
            require<IoError>(value >= 0, of(entry), " must not have a negative ", what, " but has ", value);
            return value;
        };
        json.object([&](const std::string& key) {
            if (key == "dtype") {
                once(!std::exchange(dtype, true), key);
                entry.dtype = parse_dtype(json.string(), entry);
            } else if (key == "shape") {
                once(!std::exchange(shape, true), key);
                json.array([&] { entry.shape.push_back(natural("extent")); });
            } else if (key == "data_offsets") {
                once(offsets == 0, key);
                json.array([&] {
                    const auto value = std::uint64_t(natural("offset"));
                    if (offsets < 2) (offsets == 0 ? entry.begin : entry.end) = value;
                    ++offsets;
                });
                require<IoError>(offsets == 2, of(entry), " must have 2 data_offsets but has ", offsets);
            } else {
                json.skip();
            }
        });
        require<IoError>(dtype && shape && offsets == 2, of(entry), " must have dtype, shape and data_offsets");
        entries_.push_back(std::move(entry));
    }

    DType parse_dtype(const std::string& name, const SafetensorsEntry& entry) const {
        for (const auto& type : safetensors_types)
            if (type.name == name) return type.dtype;
        std::string known;
        for (const auto& type : safetensors_types) known += message(known.empty() ? "" : " ", type.name);
        fail<IoError>(of(entry), " must have one of the element types ", known, " but has ", shortened(name));
    }

    void check_tensors() const {
        const std::uint64_t buffer = file_->size() - data_;
        for (const auto& entry : entries_) {
            require<IoError>(entry.begin <= entry.end && entry.end <= buffer, of(entry), " must lie within the ",
                             buffer, " bytes of data but claims ", entry.begin, " to ", entry.end);
            const std::uint64_t bytes = checked_bytes(entry.dtype, entry.shape, of(entry));
            require<IoError>(entry.end - entry.begin == bytes, of(entry), " must have ", bytes, " bytes for ",
                             name_of(entry.dtype), " of shape ", shape_text(entry), " but has ",
                             entry.end - entry.begin);
        }
    }

    void check_names() const {
        std::vector<std::string_view> names, keys;
        for (const auto& entry : entries_) names.push_back(entry.name);
        for (const auto& item : metadata_) keys.push_back(item.first);
        if (const auto* name = repeated(names))
            fail<IoError>(where_, ": tensor \"", shortened(*name), "\" must appear once");
        if (const auto* key = repeated(keys))
            fail<IoError>(where_, ": the metadata key \"", shortened(*key), "\" must appear once");
    }

    /// The tensors must cover the data from end to end, each byte once.
    void check_tiling() const {
        std::uint64_t at = 0;
        for (const std::size_t i : sorted_order(entries_.size(), [&](std::size_t i, std::size_t j) {
                 const auto &a = entries_[i], &b = entries_[j];
                 return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
             })) {
            const auto& entry = entries_[i];
            require<IoError>(entry.begin == at, of(entry), " must begin where the one before ends, at byte ", at,
                             " of the data, but begins at ", entry.begin);
            at = entry.end;
        }
        require<IoError>(at == file_->size() - data_, where_, ": the tensors must cover the ", file_->size() - data_,
                         " bytes of data but end at ", at);
    }

    AnyTensor view(SafetensorsEntry& entry) const {
        std::byte* const bytes = file_->mutable_data() + data_ + entry.begin;
        return tensor_at(file_, bytes, entry.dtype, std::move(entry.shape), of(entry));
    }

    std::string of(const SafetensorsEntry& entry) const {
        return message(where_, ": tensor \"", shortened(entry.name), "\"");
    }
    static std::string shape_text(const SafetensorsEntry& entry) {
        std::string out;
        Shape<0>::append_extents(out, entry.shape.data(), int(std::min<std::size_t>(entry.shape.size(), 16)));
        return out;
    }

    Ref<MappedFile> file_;
    std::string where_;
    std::uint64_t data_ = 0;
    std::vector<SafetensorsEntry> entries_;
    Metadata metadata_;
};

/// Reads the tensors that a `*.safetensors.index.json` assigns to the files beside it.
class SafetensorsIndex {
public:
    explicit SafetensorsIndex(const std::string& path) : where_(message("load_safetensors: \"", path, "\"")) {
        const MappedFile file("load_safetensors", path);
        JsonReader json(where_, file.text());
        json.object([&](const std::string& key) {
            if (key != "weight_map") return json.skip();
            json.object([&](const std::string& name) { places_.push_back({name, json.string()}); });
        });
        json.end();
        folder_ = path.substr(0, path.rfind('/') + 1);
        std::vector<std::string_view> names;
        for (const auto& place : places_) names.push_back(place.tensor);
        if (const auto* name = repeated(names)) fail<IoError>(of(*name), " must appear once");
        for (const auto& [tensor, shard] : places_)
            require<IoError>(!shard.empty() && shard.find('/') == std::string::npos && shard[0] != '.', of(tensor),
                             " must lie in a file of the same folder but lies in \"", shortened(shard), "\"");
    }

    StateDict load() {
        std::vector<NamedTensor> items;
        const auto order = sorted_order(places_.size(), [&](std::size_t i, std::size_t j) {
            const auto &a = places_[i], &b = places_[j];
            return a.shard != b.shard ? a.shard < b.shard : a.tensor < b.tensor;
        });
        for (auto place = order.begin(); place != order.end();) {
            const std::string& shard = places_[*place].shard;
            const StateDict tensors = read_safetensors(folder_ + shard).tensors;
            const auto by_name = sorted_order(tensors.size(), [&](std::size_t i, std::size_t j) {
                return tensors.begin()[i].name < tensors.begin()[j].name;
            });
            auto item = by_name.begin();
            for (; place != order.end() && places_[*place].shard == shard; ++place) {
                const std::string& name = places_[*place].tensor;
                while (item != by_name.end() && tensors.begin()[*item].name < name) ++item;
                require<IoError>(item != by_name.end() && tensors.begin()[*item].name == name, of(name),
                                 " must be in \"", shortened(shard), "\"");
                items.push_back(tensors.begin()[*item]);
            }
        }
        return StateDict::of_distinct(std::move(items));
    }

private:
    struct Place {
        std::string tensor, shard;
    };
    std::string of(std::string_view tensor) const { return message(where_, ": tensor \"", shortened(tensor), "\""); }

    std::string where_, folder_;
    std::vector<Place> places_;
};

inline void append_safetensors_header(std::string& out, const std::vector<const NamedTensor*>& tensors,
                                      const Metadata& metadata) {
    const auto separate = [&] {
        if (out.back() != '{') out += ',';
    };
    out += '{';
    if (!metadata.empty()) {
        out += "\"__metadata__\":{";
        for (const auto& [key, value] : metadata) {
            separate();
            append_json_string(out, key);
            out += ':';
            append_json_string(out, value);
        }
        out += '}';
    }
    std::size_t at = 0;
    for (const auto* item : tensors) {
        separate();
        append_json_string(out, item->name);
        out +=
            message(":{\"dtype\":\"", safetensors_types[safetensors_rank(item->tensor.dtype())].name, "\",\"shape\":[");
        for (int d = 0; d < item->tensor.rank(); ++d)
            out += message(d ? "," : "", item->tensor.shape()[std::size_t(d)]);
        out += message("],\"data_offsets\":[", at, ",", at + item->tensor.bytes(), "]}");
        at += item->tensor.bytes();
    }
    out += '}';
    while (out.size() % 8) out += ' ';
}

}  // namespace detail

inline Safetensors read_safetensors(const std::string& path) { return detail::SafetensorsReader(path).take(); }

inline StateDict load_safetensors(const std::string& path) {
    return path.ends_with(".index.json") ? detail::SafetensorsIndex(path).load() : read_safetensors(path).tensors;
}

inline void save_safetensors(const std::string& path, const StateDict& state, const Metadata& metadata) {
    constexpr std::string_view op = "save_safetensors";
    const auto require_text = [&](std::string_view text) {
        for (std::string_view rest = text; !rest.empty();) {
            const std::size_t length = detail::utf8_sequence(rest);
            require<ValueError>(length > 0, op, ": names and metadata must be UTF-8 but \"", text, "\" is not");
            rest.remove_prefix(length);
        }
    };
    for (const auto& item : state) {
        require_text(item.name);
        require<ValueError>(item.name != "__metadata__", op, ": no tensor may be named __metadata__");
        require<ValueError>(item.tensor.defined(), op, ": tensor \"", item.name, "\" must be defined");
    }
    for (std::size_t i = 0; i < metadata.size(); ++i) {
        require_text(metadata[i].first);
        require_text(metadata[i].second);
        for (std::size_t j = 0; j < i; ++j)
            require<ValueError>(metadata[i].first != metadata[j].first, op, ": the metadata key ", metadata[i].first,
                                " must appear once");
    }
    std::vector<const NamedTensor*> sorted;
    for (const std::size_t i : detail::sorted_order(state.size(), [&](std::size_t i, std::size_t j) {
             const auto &a = state.begin()[i], &b = state.begin()[j];
             const int x = detail::safetensors_rank(a.tensor.dtype()), y = detail::safetensors_rank(b.tensor.dtype());
             return x != y ? x < y : a.name < b.name;
         }))
        sorted.push_back(&state.begin()[i]);
    std::string header;
    detail::append_safetensors_header(header, sorted, metadata);
    require<IoError>(header.size() <= detail::safetensors_header_limit, op, ": \"", path,
                     "\" must have a header of at most ", detail::safetensors_header_limit, " bytes but has ",
                     header.size());
    const auto length = std::uint64_t(header.size());
    AtomicFile file(op, path);
    file.write(&length, sizeof length);
    file.write(header);
    for (const auto* item : sorted) file.write(item->tensor.data(), item->tensor.bytes());
    file.commit();
}

}  // namespace lamina::inline LAMINA_ABI::io
