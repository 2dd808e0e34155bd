#pragma once
// Decompression through zlib, into memory whose size the caller decided.
#include <lamina/core/error.hpp>

#include <zlib.h>
#include <algorithm>

namespace lamina::inline LAMINA_ABI::io::detail {

/// Deflate cannot compress better than this: a claimed size above it is damage, found before memory is taken.
inline constexpr std::uint64_t deflate_limit = 1032;

/// Reads a gzip file (any number of members) or a bare deflate stream. Damage throws IoError that begins with `where`.
class Inflater {
public:
    enum class Format { gzip, raw };

    Inflater(std::string_view where, Format format, std::string_view input)
        : where_(where),
          format_(format),
          input_(input),
          left_(input) {
        const int window = format == Format::gzip ? 15 + 16 : -15;
        require<IoError>(inflateInit2(&stream_, window) == Z_OK, where_, ": zlib must start");
    }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
    ~Inflater() { inflateEnd(&stream_); }

    /// Fills `out` with exactly the next `size` bytes.
    void read(void* out, std::uint64_t size) {
        const std::uint64_t done = read_some(out, size);
        require<IoError>(done == size, where_, ": the compressed data must hold ", total_ - done + size,
                         " bytes but ends after ", total_);
    }
    /// Requires that the stream ends here, with the right checksum.
    void finish() {
        char extra;
        const bool ends = read_some(&extra, 1) == 0;
        require<IoError>(ends, where_, ": the compressed data must end after ", total_ - 1, " bytes but goes on");
    }

private:
    static constexpr std::size_t step = std::size_t(1) << 30;  // zlib counts in 32 bits

    std::uint64_t read_some(void* out, std::uint64_t size) {
        std::uint64_t done = 0;
        while (done < size && !ended_) {
            const auto room = uInt(std::min<std::uint64_t>(size - done, step));
            const auto given = uInt(std::min(left_.size(), step));
            stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(left_.data()));
            stream_.avail_in = given;
            stream_.next_out = static_cast<Bytef*>(out) + done;
            stream_.avail_out = room;
            const int status = inflate(&stream_, Z_NO_FLUSH);
            left_.remove_prefix(given - stream_.avail_in);
            done += room - stream_.avail_out;
            total_ += room - stream_.avail_out;
            const bool stuck = given == stream_.avail_in && room == stream_.avail_out;
            require<IoError>(status == Z_STREAM_END || (status == Z_OK && !stuck), where_,
                             ": the compressed data must be whole but is ",
                             left_.empty() && status != Z_DATA_ERROR ? "cut off" : "damaged", " at byte ",
                             input_.size() - left_.size(), " of ", input_.size());
            if (status == Z_STREAM_END) next_member();
        }
        return done;
    }
    void next_member() {
        ended_ = format_ == Format::raw || left_.find_first_not_of('\0') == std::string_view::npos;
        if (!ended_) inflateReset(&stream_);
    }

    std::string_view where_;
    Format format_;
    std::string_view input_, left_;
    std::uint64_t total_ = 0;
    bool ended_ = false;
    z_stream stream_{};
};

}  // namespace lamina::inline LAMINA_ABI::io::detail
