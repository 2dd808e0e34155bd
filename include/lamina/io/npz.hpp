#pragma once
// Archives of NumPy arrays, .npz: a zip file with one NAME.npy for each array.
#include <lamina/io/npy.hpp>
#include <lamina/io/sorted_order.hpp>
#include <lamina/io/zip.hpp>

namespace lamina::inline LAMINA_ABI::io {

/// Reads all arrays of an .npz file, stored or compressed, in the order of its directory; checksums are verified.
/// Members that are not arrays are left out. Throws IoError naming file and member.
StateDict load_npz(const std::string& path);

/// Writes an uncompressed .npz file, replacing the old one in one step. Throws IoError, and ValueError for element
/// types that NumPy does not have.
void save_npz(const std::string& path, const StateDict& state);

namespace detail {
inline AnyTensor load_npz_member(const std::string& where, const Ref<MappedFile>& file, const ZipReader& zip,
                                 const ZipMember& member) {
    const std::string_view packed = zip.packed(member);
    require<IoError>(member.method == 0 || member.method == 8, where,
                     ": the member must be stored or deflated but has method ", member.method);
    const auto require_crc = [&](const void* data, std::size_t size) {
        const std::uint32_t crc = crc32_of(data, size);
        require<IoError>(crc == member.crc, where, ": the checksum must be ", member.crc, " but is ", crc);
    };
    if (member.method == 0) {
        require<IoError>(packed.size() == member.size, where, ": the stored member must have ", member.size,
                         " bytes but has ", packed.size());
        require_crc(packed.data(), packed.size());
        return parse_npy(where, file, file->mutable_data() + (packed.data() - file->text().data()), packed.size());
    }
    require<IoError>(member.size <= packed.size() * deflate_limit, where, ": ", packed.size(),
                     " compressed bytes can become at most ", packed.size() * deflate_limit, " but claim ",
                     member.size);
    std::vector<std::byte> bytes(member.size);
    Inflater inflater(where, Inflater::Format::raw, packed);
    inflater.read(bytes.data(), bytes.size());
    inflater.finish();
    require_crc(bytes.data(), bytes.size());
    return parse_npy(where, Ref<MappedFile>(), bytes.data(), bytes.size());
}
}  // namespace detail

inline StateDict load_npz(const std::string& path) {
    constexpr std::string_view ending = ".npy";
    const Ref<MappedFile> file(new MappedFile("load_npz", path));
    const std::string where = message("load_npz: \"", path, "\"");
    const detail::ZipReader zip(where, file->text());
    std::vector<NamedTensor> items;
    std::vector<std::string_view> names;
    for (const auto& member : zip.members()) {
        if (!member.name.ends_with(ending)) continue;
        names.push_back(member.name);
        const std::string name = member.name.substr(0, member.name.size() - ending.size());
        const std::string label = message(where, ": tensor \"", detail::shortened(name), "\"");
        items.push_back({name, detail::load_npz_member(label, file, zip, member)});
    }
    if (const auto* name = detail::repeated(names))
        fail<IoError>(where, ": a member must appear once but there are two \"", detail::shortened(*name), "\"");
    return StateDict::of_distinct(std::move(items));
}

inline void save_npz(const std::string& path, const StateDict& state) {
    std::vector<std::string> headers;
    for (const auto& item : state) {
        require<ValueError>(item.name.size() < 65000, "save_npz: a name must be shorter than 65000 bytes but has ",
                            item.name.size());
        headers.push_back(detail::npy_header("save_npz", item.tensor));
    }
    AtomicFile file("save_npz", path);
    detail::ZipWriter zip(file);
    std::size_t i = 0;
    for (const auto& item : state) zip.add(item.name + ".npy", headers[i++], item.tensor.data(), item.tensor.bytes());
    zip.finish();
    file.commit();
}

}  // namespace lamina::inline LAMINA_ABI::io
