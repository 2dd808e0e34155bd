#pragma once
// A whole file as bytes, mapped where the system can, so that opening copies nothing and pages arrive on first touch.
#include <lamina/core/error.hpp>
#include <lamina/core/ref.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace lamina::inline LAMINA_ABI::io {

/// The bytes of a regular file. They are private: writing to them copies the page and never reaches the file.
/// The file must not be shortened while this lives (replacing it by another one is safe).
class MappedFile : public RefCounted {
public:
    /// Opens `path` for reader `op`, whose name begins the message; throws IoError.
    MappedFile(std::string_view op, const std::string& path);
    ~MappedFile() {
        if (mapped_) ::munmap(data_, size_);
        else ::operator delete(data_);
    }

    const std::byte* data() const { return static_cast<const std::byte*>(data_); }
    std::byte* mutable_data() { return static_cast<std::byte*>(data_); }
    std::size_t size() const { return size_; }
    std::string_view text() const { return {static_cast<const char*>(data_), size_}; }

private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
    bool mapped_ = false;
};

namespace detail {
/// What a message repeats of a name that comes from a file: so much, and no control characters.
LAMINA_NOINLINE inline std::string shortened(std::string_view name) {
    std::string out(name.substr(0, 200));
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return out;
}

/// Closes a file descriptor at the end of a scope.
struct Descriptor {
    int fd = -1;
    explicit Descriptor(int descriptor) : fd(descriptor) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

[[noreturn]] LAMINA_NOINLINE inline void fail_errno(std::string_view op, std::string_view path, std::string_view what) {
    const int code = errno;
    fail<IoError>(op, ": \"", path, "\" ", what, " (", std::strerror(code), ")");
}

/// Fills `data` with `size` bytes of the file; fewer there, or a failure, throws IoError.
inline void read_all(int fd, void* data, std::size_t size, std::string_view op, std::string_view path) {
    for (std::size_t done = 0; done < size;) {
        const ::ssize_t n = ::read(fd, static_cast<char*>(data) + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_errno(op, path, "must be readable");
        require<IoError>(n > 0, op, ": \"", path, "\" must have ", size, " bytes but ends after ", done);
        done += std::size_t(n);
    }
}
}  // namespace detail

inline MappedFile::MappedFile(std::string_view op, const std::string& path) {
    // Not blocking: a pipe nobody writes to is refused and not waited for.
    const detail::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct ::stat info {};
    if (file.fd < 0 || ::fstat(file.fd, &info) != 0) detail::fail_errno(op, path, "must be a readable file");
    require<IoError>(S_ISREG(info.st_mode), op, ": \"", path, "\" must be a regular file");
    size_ = std::size_t(info.st_size);
    if (size_ == 0) return;
    void* const address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.fd, 0);
    mapped_ = address != MAP_FAILED;
    data_ = mapped_ ? address : ::operator new(size_);
    if (!mapped_) detail::read_all(file.fd, data_, size_, op, path);
}

}  // namespace lamina::inline LAMINA_ABI::io
