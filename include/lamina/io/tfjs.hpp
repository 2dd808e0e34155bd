#pragma once
// Weights of TensorFlow.js models (tensorflow/tfjs, "model.json"): a manifest in JSON names the weights, shards beside
// it hold their bytes end to end, without padding, in fewer bits where they are quantised. Files are taken for hostile.
#include <lamina/io/json.hpp>
#include <lamina/io/mapped_tensor.hpp>
#include <lamina/io/sorted_order.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::io {

/// Reads the weights that a `model.json` lists, of graph and layers models alike: float32, int32 and bool, those stored
/// as float16, uint8 or uint16 brought back to their type. Shapes are TensorFlow's: [height, width, in, out] for a
/// convolution, [height, width, in, multiplier] for a depthwise one. Strings are left out. Throws IoError naming file
/// and weight.
StateDict load_tfjs(const std::string& path);

namespace detail {

/// One line of a manifest.
struct TfjsEntry {
    std::string name, dtype, stored;  ///< element types, of the weight and in the shards
    std::vector<Index> shape;
    double scale = 1, min = 0;

    bool quantized() const { return stored != dtype; }
};

/// Weights whose bytes follow each other in the files of one group.
struct TfjsGroup {
    std::vector<std::string> paths;
    std::vector<TfjsEntry> entries;
};

/// Reads and checks one model.json.
class TfjsReader {
public:
    explicit TfjsReader(const std::string& path)
        : where_(message(op, ": \"", path, "\"")),
          folder_(path.substr(0, path.rfind('/') + 1)) {
        const MappedFile file(op, path);
        parse(file.text());
        check_names();
    }

    StateDict load() const {
        std::vector<NamedTensor> items;
        for (const auto& group : groups_) load_group(group, items);
        return StateDict::of_distinct(std::move(items));
    }

private:
    static constexpr std::string_view op = "load_tfjs";

    void parse(std::string_view text) {
        JsonReader json(where_, text);
        bool found = false;
        json.object([&](const std::string& key) {
            if (key != "weightsManifest") return json.skip();
            found = true;
            json.array([&] { parse_group(json); });
        });
        json.end();
        require<IoError>(found, where_, ": the file must have a weightsManifest");
    }

    void parse_group(JsonReader& json) {
        TfjsGroup group;
        json.object([&](const std::string& key) {
            if (key == "paths") json.array([&] { group.paths.push_back(json.string()); });
            else if (key == "weights") json.array([&] { group.entries.push_back(parse_entry(json)); });
            else json.skip();
        });
        for (const auto& shard : group.paths)
            require<IoError>(!shard.empty() && shard.find('/') == std::string::npos && shard[0] != '.', where_,
                             ": shards must lie in the same folder but there is \"", shortened(shard), "\"");
        groups_.push_back(std::move(group));
    }

    TfjsEntry parse_entry(JsonReader& json) const {
        TfjsEntry entry;
        bool shape = false, quantized = false, scale = false, min = false;
        json.object([&](const std::string& key) {
            if (key == "name") entry.name = json.string();
            else if (key == "dtype") entry.dtype = json.string();
            else if (key == "shape") {
                shape = true;
                entry.shape.clear();
                json.array([&] { entry.shape.push_back(json.integer()); });
            } else if (key == "quantization") {
                quantized = true;
                json.object([&](const std::string& part) {
                    if (part == "dtype") entry.stored = json.string();
                    else if (part == "scale") scale = true, entry.scale = json.number();
                    else if (part == "min") min = true, entry.min = json.number();
                    else json.skip();
                });
            } else {
                json.skip();
            }
        });
        require<IoError>(!entry.name.empty() && !entry.dtype.empty() && shape, of(entry),
                         " must have name, dtype and shape");
        for (const Index extent : entry.shape)
            require<IoError>(extent >= 0, of(entry), " must not have a negative extent but has ", extent);
        if (!quantized) entry.stored = entry.dtype;
        check_types(entry);
        const bool affine = entry.quantized() && entry.stored != "float16";
        require<IoError>(!affine || (scale && min), of(entry), " must have scale and min to be ", entry.dtype,
                         " stored as ", entry.stored);
        return entry;
    }

    void check_types(const TfjsEntry& entry) const {
        const std::string_view dtype = entry.dtype, stored = entry.stored;
        require<IoError>(dtype == "float32" || dtype == "int32" || dtype == "bool" || dtype == "string", of(entry),
                         " must have one of the element types float32 int32 bool string but has ", shortened(dtype));
        const bool affine = (stored == "uint8" || stored == "uint16") && (dtype == "float32" || dtype == "int32");
        require<IoError>(stored == dtype || affine || (stored == "float16" && dtype == "float32"), of(entry),
                         " must be float32 to be stored as float16, float32 or int32 to be stored as uint8 or uint16, "
                         "but is ",
                         dtype, " stored as \"", shortened(stored), "\"");
    }

    void check_names() const {
        std::vector<std::string_view> names;
        for (const auto& group : groups_)
            for (const auto& entry : group.entries) names.push_back(entry.name);
        if (const auto* name = repeated(names))
            fail<IoError>(where_, ": weight \"", shortened(*name), "\" must appear once");
    }

    void load_group(const TfjsGroup& group, std::vector<NamedTensor>& items) const {
        // One shard is used in place; several are joined, for a weight may begin in one and end in the next.
        Ref<MappedFile> file;
        std::string joined;
        for (const auto& shard : group.paths) {
            file = Ref<MappedFile>(new MappedFile(op, folder_ + shard));
            if (group.paths.size() > 1) joined += file->text();
        }
        if (group.paths.size() != 1) file.reset();
        std::byte* const bytes = file ? file->mutable_data() : reinterpret_cast<std::byte*>(joined.data());
        const std::uint64_t size = file ? file->size() : joined.size();
        std::uint64_t at = 0;
        for (const auto& entry : group.entries) {
            const std::uint64_t length = entry.dtype == "string"
                                             ? string_bytes(entry, bytes, at, size)
                                             : checked_bytes(type_of(entry), entry.shape, of(entry));
            require<IoError>(length <= size - at, of(entry), " must lie within the ", size,
                             " bytes of its shards but claims ", at, " to ", at + length);
            if (entry.dtype != "string") items.push_back({entry.name, tensor(file, bytes + at, entry)});
            at += length;
        }
        require<IoError>(at == size, where_, ": the weights of ", shard_names(group), " must cover its ", size,
                         " bytes but end at ", at);
    }

    /// Length of the strings that begin at byte `at`: each is four bytes of length and its text.
    std::uint64_t string_bytes(const TfjsEntry& entry, const std::byte* bytes, std::uint64_t at,
                               std::uint64_t size) const {
        const std::uint64_t count = checked_bytes(DType::u8, entry.shape, of(entry)), begin = at;
        for (std::uint64_t i = 0; i < count; ++i) {
            std::uint32_t length = 0;
            require<IoError>(size - at >= 4, of(entry), " must lie within the ", size,
                             " bytes of its shards but claims ", at, " to ", at + 4);
            std::memcpy(&length, bytes + at, 4);
            at += 4;
            require<IoError>(size - at >= length, of(entry), " must lie within the ", size,
                             " bytes of its shards but claims ", at, " to ", at + length);
            at += length;
        }
        return at - begin;
    }

    /// How the elements lie in the shards. The list of types has no uint16: int16 is as wide.
    static DType type_of(const TfjsEntry& entry) {
        const std::string_view s = entry.stored;
        return s == "float32"   ? DType::f32
               : s == "int32"   ? DType::i32
               : s == "float16" ? DType::f16
               : s == "uint16"  ? DType::i16
               : s == "uint8"   ? DType::u8
                                : DType::boolean;
    }

    AnyTensor tensor(const Ref<MappedFile>& file, std::byte* bytes, const TfjsEntry& entry) const {
        if (!entry.quantized()) return tensor_at(file, bytes, type_of(entry), entry.shape, of(entry));
        auto out = AnyTensor::zeros(entry.dtype == "int32" ? DType::i32 : DType::f32, entry.shape);
        if (entry.stored == "float16")
            out.assign(tensor_at(Ref<MappedFile>(), bytes, DType::f16, entry.shape, of(entry)));
        else if (entry.stored == "uint8") dequantize<std::uint8_t>(bytes, entry, out);
        else dequantize<std::uint16_t>(bytes, entry, out);
        return out;
    }

    /// q scale + min, rounded where the weight holds integers.
    template <class Q>
    void dequantize(const std::byte* bytes, const TfjsEntry& entry, AnyTensor& out) const {
        std::byte* const to = out.mutable_data();
        for (Index i = 0, count = out.numel(); i < count; ++i) {
            Q q = 0;
            std::memcpy(&q, bytes + std::size_t(i) * sizeof(Q), sizeof(Q));
            const double value = double(q) * entry.scale + entry.min;
            if (out.dtype() == DType::i32) {
                const double rounded = std::floor(value + 0.5);
                require<IoError>(rounded >= -0x1p31 && rounded < 0x1p31, of(entry), " must fit int32 but holds ", value,
                                 " at element ", i);
                const auto number = std::int32_t(rounded);
                std::memcpy(to + i * 4, &number, 4);
            } else {
                const auto number = float(value);
                std::memcpy(to + i * 4, &number, 4);
            }
        }
    }

    static std::string shard_names(const TfjsGroup& group) {
        if (group.paths.empty()) return "a group without shards";
        std::string out = message("\"", shortened(group.paths.front()), "\"");
        if (group.paths.size() > 1) out += message(" to \"", shortened(group.paths.back()), "\"");
        return out;
    }
    std::string of(const TfjsEntry& entry) const { return message(where_, ": weight \"", shortened(entry.name), "\""); }

    std::string where_, folder_;
    std::vector<TfjsGroup> groups_;
};

}  // namespace detail

inline StateDict load_tfjs(const std::string& path) { return detail::TfjsReader(path).load(); }

}  // namespace lamina::inline LAMINA_ABI::io
