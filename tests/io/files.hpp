#pragma once
// Files for the tests of io/: a folder that removes itself, raw bytes in and out, and seeded damage.
#include <lamina/io/safetensors.hpp>
#include <tests/support/compare.hpp>

#include <dirent.h>
#include <cstdlib>

namespace lamina::inline LAMINA_ABI::test {

/// A fresh folder, removed with the files in it at the end of the scope.
class TemporaryFolder {
public:
    TemporaryFolder() {
        const char* base = std::getenv("TMPDIR");
        path_ = std::string(base ? base : "/tmp") + "/lamina-test-XXXXXX";
        require<IoError>(::mkdtemp(path_.data()), "test: no temporary folder at ", path_);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        for (const auto& name : files()) ::unlink((*this / name).c_str());
        ::rmdir(path_.c_str());
    }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    std::vector<std::string> files() const {
        std::vector<std::string> names;
        ::DIR* const directory = ::opendir(path_.c_str());
        while (const ::dirent* entry = ::readdir(directory))
            if (const std::string name = entry->d_name; name != "." && name != "..") names.push_back(name);
        ::closedir(directory);
        std::sort(names.begin(), names.end());
        return names;
    }

private:
    std::string path_;
};

inline void write_file(const std::string& path, std::string_view bytes) {
    std::FILE* const file = std::fopen(path.c_str(), "wb");
    require<IoError>(file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size(), "test: cannot write ",
                     path);
    std::fclose(file);
}

inline std::string read_file(const std::string& path) { return std::string(io::MappedFile("test", path).text()); }

/// Small deterministic generator (splitmix64) for damage and moments.
struct Dice {
    std::uint64_t state;
    std::uint64_t operator()() {
        std::uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t n) { return n ? std::size_t((*this)() % n) : 0; }
};

/// `bytes` with one to four random edits, most of them within the first `front` bytes: a byte or bit changed, a piece
/// cut out, doubled or overwritten by another piece, the end cut off.
inline std::string damaged(std::string bytes, std::size_t front, Dice& dice) {
    for (std::size_t edits = 1 + dice.below(4); edits > 0 && !bytes.empty(); --edits) {
        const std::size_t at = dice.below(dice.below(8) ? std::min(front, bytes.size()) : bytes.size());
        const std::size_t length = std::min(bytes.size() - at, 1 + dice.below(24));
        switch (dice.below(7)) {
            case 0: bytes[at] = char(dice()); break;
            case 1: bytes[at] = char(bytes[at] ^ (1 << dice.below(8))); break;
            case 2: bytes[at] = "0123456789-{}[]\",:\\"[dice.below(19)]; break;
            case 3: bytes.erase(at, length); break;
            case 4: bytes.insert(dice.below(bytes.size()), bytes.substr(at, length)); break;
            case 5: bytes.replace(dice.below(bytes.size() - length + 1), length, bytes.substr(at, length)); break;
            default: bytes.resize(dice.below(8) ? bytes.size() - dice.below(16) % bytes.size() : at); break;
        }
    }
    return bytes;
}

}  // namespace lamina::inline LAMINA_ABI::test
