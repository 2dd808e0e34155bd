#pragma once
// Text as bytes, for language models that read characters.
#include <lamina/data/dataset.hpp>
#include <lamina/io/mapped_file.hpp>

namespace lamina::inline LAMINA_ABI::data {

/// Windows of `length` bytes of a file as numbers 0 to 255 [length], with the bytes that follow each [length]. Windows
/// begin every `stride` bytes.
class TextBytes {
public:
    /// Throws IoError for the file, ValueError for length or stride < 1.
    TextBytes(const std::string& path, Index length, Index stride)
        : file_(new io::MappedFile("TextBytes", path)),
          length_(length),
          stride_(stride) {
        require<ValueError>(length >= 1 && stride >= 1, "TextBytes: length and stride must be at least 1 but are ",
                            length, " and ", stride);
    }
    Index size() const {
        const auto room = Index(file_->text().size()) - length_ - 1;
        return room < 0 ? 0 : room / stride_ + 1;
    }
    std::tuple<Tensor<std::int64_t, 1>, Tensor<std::int64_t, 1>> operator[](Index i) const {
        require<ValueError>(i >= 0 && i < size(), "TextBytes: index ", i, " must lie in [0, ", size(), ")");
        auto bytes = empty<std::int64_t>(Shape{length_}), next = empty<std::int64_t>(Shape{length_});
        const auto* x = reinterpret_cast<const unsigned char*>(file_->text().data()) + i * stride_;
        std::copy_n(x, length_, bytes.mutable_data());
        std::copy_n(x + 1, length_, next.mutable_data());
        return {bytes, next};
    }

private:
    Ref<io::MappedFile> file_;
    Index length_, stride_;
};

}  // namespace lamina::inline LAMINA_ABI::data
