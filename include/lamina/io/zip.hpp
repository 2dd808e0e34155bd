#pragma once
// Zip archives (PKWARE APPNOTE 6.3.9) as far as files of arrays need them: members stored or deflated, zip64 sizes.
#include <lamina/io/atomic_file.hpp>
#include <lamina/io/inflate.hpp>
#include <lamina/io/mapped_file.hpp>

#include <vector>

namespace lamina::inline LAMINA_ABI::io::detail {

inline std::uint32_t crc32_of(const void* data, std::size_t size, std::uint32_t crc = 0) {
    return std::uint32_t(::crc32_z(crc, static_cast<const Bytef*>(data), size));
}

/// Little-endian integers at known places of a record.
class ZipRecord {
public:
    explicit ZipRecord(std::string_view bytes) : bytes_(bytes) {}
    std::uint64_t u16(std::size_t at) const { return get(at, 2); }
    std::uint64_t u32(std::size_t at) const { return get(at, 4); }
    std::uint64_t u64(std::size_t at) const { return get(at, 8); }

private:
    std::uint64_t get(std::size_t at, std::size_t size) const {
        std::uint64_t value = 0;
        std::memcpy(&value, bytes_.data() + at, size);
        return value;
    }
    std::string_view bytes_;
};

/// One member of an archive, as its central directory describes it.
struct ZipMember {
    std::string name;
    std::uint64_t method = 0, crc = 0, packed = 0, size = 0, offset = 0;
};

/// Reads the central directory of the archive `bytes` and finds the data of members. Throws IoError beginning with
/// `where`; sizes come from the directory, so that data descriptors need no reading.
class ZipReader {
public:
    ZipReader(std::string_view where, std::string_view bytes) : where_(where), bytes_(bytes) {
        find_directory();
        read_directory();
    }
    const std::vector<ZipMember>& members() const { return members_; }
    /// The bytes of a member as they lie in the file.
    std::string_view packed(const ZipMember& member) const {
        const std::string_view record = slice(member.offset, 30, "PK\3\4", "the local header of a member");
        const ZipRecord local(record);
        const std::uint64_t start = member.offset + 30 + local.u16(26) + local.u16(28);
        require<IoError>(start <= bytes_.size() && member.packed <= bytes_.size() - start, where_, ": member \"",
                         shortened(member.name), "\" must lie within the file of ", bytes_.size(), " bytes but claims ",
                         member.packed, " bytes at ", start);
        return bytes_.substr(start, member.packed);
    }

private:
    std::string_view slice(std::uint64_t at, std::uint64_t size, std::string_view signature,
                           std::string_view what) const {
        const bool inside = at <= bytes_.size() && size <= bytes_.size() - at;
        require<IoError>(inside && bytes_.substr(at).starts_with(signature), where_, ": the archive must have ", what,
                         " at byte ", at, " of ", bytes_.size());
        return bytes_.substr(at, size);
    }

    /// The end record is the last one, followed by a comment of up to 65535 bytes whose length it names.
    void find_directory() {
        constexpr std::string_view what = "an end record";
        require<IoError>(bytes_.size() >= 22, where_, ": the archive must have an end record but has ", bytes_.size(),
                         " bytes");
        std::uint64_t at = bytes_.size() - 22;
        for (const std::uint64_t last = at > 65535 ? at - 65535 : 0;; --at) {
            if (bytes_.substr(at).starts_with("PK\5\6") &&
                ZipRecord(bytes_.substr(at)).u16(20) == bytes_.size() - at - 22)
                break;
            require<IoError>(at > last, where_, ": the archive must have an end record");
        }
        const ZipRecord end(slice(at, 22, "PK\5\6", what));
        count_ = end.u16(10);
        size_ = end.u32(12);
        start_ = end.u32(16);
        if (at >= 20 && bytes_.substr(at - 20).starts_with(std::string_view("PK\6\7", 4))) {
            const ZipRecord locator(bytes_.substr(at - 20, 20));
            const ZipRecord wide(slice(locator.u64(8), 56, "PK\6\6", what));
            count_ = wide.u64(32);
            size_ = wide.u64(40);
            start_ = wide.u64(48);
        }
    }

    void read_directory() {
        slice(start_, size_, "", "its directory");
        std::uint64_t at = start_, packed = 0;
        const std::uint64_t end = start_ + size_;
        for (std::uint64_t i = 0; i < count_; ++i) {
            const ZipRecord record(slice(at, 46, "PK\1\2", "a directory record"));
            const std::uint64_t name = record.u16(28), extra = record.u16(30), comment = record.u16(32);
            require<IoError>(at + 46 + name + extra + comment <= end, where_, ": the directory must end by byte ", end);
            ZipMember member{std::string(bytes_.substr(at + 46, name)),
                             record.u16(10),
                             record.u32(16),
                             record.u32(20),
                             record.u32(24),
                             record.u32(42)};
            require<IoError>((record.u16(8) & 1) == 0, where_, ": member \"", shortened(member.name),
                             "\" must not be encrypted");
            widen(member, bytes_.substr(at + 46 + name, extra));
            // Members that overlap would let a small file claim any amount of memory.
            packed += member.packed;
            require<IoError>(member.packed <= bytes_.size() && packed <= bytes_.size(), where_, ": member \"",
                             shortened(member.name), "\" must fit the file with those before it but has ",
                             member.packed, " bytes");
            members_.push_back(std::move(member));
            at += 46 + name + extra + comment;
        }
    }

    /// Fields too large for 32 bits are all ones, and their values follow in an extra field of id 1, in this order.
    void widen(ZipMember& member, std::string_view extra) const {
        while (extra.size() >= 4) {
            const ZipRecord field(extra);
            const std::size_t size = std::min<std::size_t>(field.u16(2), extra.size() - 4);
            if (field.u16(0) == 1) {
                std::size_t at = 4;
                for (std::uint64_t* value : {&member.size, &member.packed, &member.offset})
                    if (*value == 0xffffffffu && at + 8 <= 4 + size) {
                        *value = field.u64(at);
                        at += 8;
                    }
            }
            extra.remove_prefix(4 + size);
        }
    }

    std::string_view where_, bytes_;
    std::uint64_t count_ = 0, size_ = 0, start_ = 0;
    std::vector<ZipMember> members_;
};

/// Writes an archive of stored members, one after another; zip64 records only where sizes need them.
class ZipWriter {
public:
    explicit ZipWriter(AtomicFile& file) : file_(file) {}

    /// Adds a member made of two pieces.
    void add(const std::string& name, std::string_view head, const void* data, std::size_t data_size) {
        const std::uint64_t size = head.size() + data_size, offset = at_;
        const std::uint32_t crc = crc32_of(data, data_size, crc32_of(head.data(), head.size()));
        const std::string sizes = wide(size) || wide(offset) ? field64({size, size, offset}) : "";
        const auto common = [&](std::string& out, const std::string& extra) {
            put(out, extra.empty() ? 20 : 45, 2);
            put(out, 0x800, 2);  // the name is UTF-8
            put(out, 0, 2);
            put(out, 0x00210000, 4);  // 1 January 1980: the same tensors always give the same file
            put(out, crc, 4);
            for (int twice = 0; twice < 2; ++twice) put(out, extra.empty() ? size : 0xffffffffu, 4);
            put(out, name.size(), 2);
            put(out, extra.size(), 2);
        };
        const std::string local_sizes = sizes.empty() ? "" : field64({size, size});
        std::string local = "PK\3\4";
        common(local, local_sizes);
        write(local + name + local_sizes);
        write(head);
        file_.write(data, data_size);
        at_ += data_size;

        directory_ += "PK\1\2";
        put(directory_, 45, 2);
        common(directory_, sizes);
        put(directory_, 0, 2 + 2 + 2 + 4);
        put(directory_, sizes.empty() ? offset : 0xffffffffu, 4);
        directory_ += name + sizes;
        ++count_;
    }

    /// Writes the central directory.
    void finish() {
        const std::uint64_t start = at_;
        write(directory_);
        if (count_ >= 0xffff || wide(start) || wide(directory_.size())) {
            std::string end = "PK\6\6";
            put(end, 44, 8);
            put(end, 45 | 45 << 16, 4);
            put(end, 0, 8);
            put(end, count_, 8);
            put(end, count_, 8);
            put(end, directory_.size(), 8);
            put(end, start, 8);
            end += "PK\6\7";
            put(end, 0, 4);
            put(end, start + directory_.size(), 8);
            put(end, 1, 4);
            write(end);
        }
        std::string end = "PK\5\6";
        put(end, 0, 4);
        put(end, std::min<std::uint64_t>(count_, 0xffff), 2);
        put(end, std::min<std::uint64_t>(count_, 0xffff), 2);
        put(end, std::min<std::uint64_t>(directory_.size(), 0xffffffffu), 4);
        put(end, std::min<std::uint64_t>(start, 0xffffffffu), 4);
        put(end, 0, 2);
        write(end);
    }

private:
    static bool wide(std::uint64_t value) { return value >= 0xffffffffu; }
    static void put(std::string& out, std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) out += i < 8 ? char(value >> 8 * i & 0xff) : '\0';
    }
    static std::string field64(std::initializer_list<std::uint64_t> values) {
        std::string out;
        put(out, 1, 2);
        put(out, values.size() * 8, 2);
        for (const std::uint64_t value : values) put(out, value, 8);
        return out;
    }
    void write(std::string_view bytes) {
        file_.write(bytes);
        at_ += bytes.size();
    }

    AtomicFile& file_;
    std::string directory_;
    std::uint64_t at_ = 0, count_ = 0;
};

}  // namespace lamina::inline LAMINA_ABI::io::detail
