#pragma once
// Writing a file so that a crash at any moment leaves the old file or the new one, never a part of either.
#include <lamina/io/mapped_file.hpp>

#include <sys/file.h>
#include <cstdio>
#include <cstdlib>

namespace lamina::inline LAMINA_ABI::io {

/// Collects the new contents of `path` in the file `path`.partial beside it; `commit` flushes that to the disk and
/// renames it over `path`. Without a commit the partial file is removed; one left by a killed process is taken over
/// by the next writer. Writers of the same path, in any thread or process, take turns. Every member throws IoError.
class AtomicFile {
public:
    /// Starts the file for writer `op`, whose name begins every message.
    AtomicFile(std::string_view op, const std::string& path);
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;
    ~AtomicFile();

    void write(const void* data, std::size_t size);
    void write(std::string_view text) { write(text.data(), text.size()); }
    /// Makes the bytes written so far the contents of the file, durably.
    void commit();

private:
    static constexpr std::size_t buffer_size = 64 << 10;

    void open_partial();
    void drain(const char* data, std::size_t size);
    void sync_folder() const;

    std::string op_, path_, partial_, buffer_;
    int fd_ = -1;
};

inline AtomicFile::AtomicFile(std::string_view op, const std::string& path) : op_(op), path_(path) {
    // A rename would replace a symbolic link rather than the file behind it.
    if (char* const real = ::realpath(path.c_str(), nullptr)) {
        path_ = real;
        std::free(real);
    }
    partial_ = path_ + ".partial";
    struct ::stat old {};
    const bool exists = ::stat(path_.c_str(), &old) == 0;
    require<IoError>(!exists || S_ISREG(old.st_mode), op_, ": \"", path_, "\" must be a regular file");
    open_partial();
    if (exists) static_cast<void>(::fchmod(fd_, old.st_mode & 07777));
}

inline AtomicFile::~AtomicFile() {
    if (fd_ < 0) return;
    ::unlink(partial_.c_str());
    ::close(fd_);
}

/// Opens and locks the partial file. The writer that held the lock before may have renamed or removed the file just
/// opened, so the name is looked up again once the lock is held.
inline void AtomicFile::open_partial() {
    for (;;) {
        fd_ = ::open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd_ < 0) detail::fail_errno(op_, path_, "must be writable");
        while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {}
        struct ::stat ours {
        }, named{};
        if (::fstat(fd_, &ours) == 0 && ::stat(partial_.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
            ours.st_dev == named.st_dev)
            break;
        ::close(std::exchange(fd_, -1));
    }
    if (::ftruncate(fd_, 0) != 0) {
        const int code = errno;
        ::close(std::exchange(fd_, -1));
        errno = code;
        detail::fail_errno(op_, path_, "must be writable");
    }
}

inline void AtomicFile::write(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const char*>(data);
    if (buffer_.size() + size < buffer_size) {
        buffer_.append(bytes, size);
        return;
    }
    drain(buffer_.data(), buffer_.size());
    buffer_.clear();
    drain(bytes, size);
}

inline void AtomicFile::drain(const char* data, std::size_t size) {
    while (size > 0) {
        const ::ssize_t n = ::write(fd_, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) detail::fail_errno(op_, path_, "must be writable");
        data += n;
        size -= std::size_t(n);
    }
}

inline void AtomicFile::commit() {
    drain(buffer_.data(), buffer_.size());
    buffer_.clear();
    if (::fsync(fd_) != 0) detail::fail_errno(op_, path_, "must be written to the disk");
    if (::rename(partial_.c_str(), path_.c_str()) != 0) detail::fail_errno(op_, path_, "must be replaceable");
    ::close(std::exchange(fd_, -1));
    sync_folder();
}

/// Without this the rename itself may be lost in a power failure. Some file systems cannot; the contents are whole
/// either way, so a refusal is not an error.
inline void AtomicFile::sync_folder() const {
    const auto slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const detail::Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.fd >= 0) static_cast<void>(::fsync(directory.fd));
}

}  // namespace lamina::inline LAMINA_ABI::io
