#pragma once
// CIFAR-10 and CIFAR-100 in their binary form (cs.toronto.edu/~kriz/cifar.html): records of one or two label bytes and
// 3072 bytes of planes.
#include <lamina/data/dataset.hpp>
#include <lamina/io/mapped_file.hpp>

namespace lamina::inline LAMINA_ABI::data {

/// Images as floats [3, 32, 32] in [0, 1] with their labels, from mapped files.
class Cifar {
public:
    /// CIFAR-10 files such as data_batch_1.bin one after the other; CIFAR-100's have `label_bytes` 2, coarse and fine,
    /// of which the last is the label. Throws IoError for a size that is no number of records.
    explicit Cifar(const std::vector<std::string>& paths, Index label_bytes = 1) : label_bytes_(label_bytes) {
        require<ValueError>(label_bytes == 1 || label_bytes == 2, "Cifar: label_bytes must be 1 or 2 but is ",
                            label_bytes);
        for (const std::string& path : paths) {
            Ref<io::MappedFile> file(new io::MappedFile("Cifar", path));
            const auto bytes = Index(file->text().size());
            require<IoError>(bytes % record() == 0, "Cifar: \"", path, "\" must be records of ", record(),
                             " bytes but has ", bytes);
            sizes_.push_back(bytes / record());
            files_.push_back(std::move(file));
        }
    }
    Index size() const {
        Index total = 0;
        for (Index n : sizes_) total += n;
        return total;
    }
    std::tuple<Tensor<float, 3>, std::int64_t> operator[](Index i) const {
        require<ValueError>(i >= 0 && i < size(), "Cifar: index ", i, " must lie in [0, ", size(), ")");
        std::size_t file = 0;
        for (; i >= sizes_[file]; ++file) i -= sizes_[file];
        const auto* x = reinterpret_cast<const unsigned char*>(files_[file]->text().data()) + i * record();
        auto image = empty<float>(Shape{3, 32, 32});
        float* y = image.mutable_data();
        for (Index k = 0; k < pixels; ++k) y[k] = float(x[label_bytes_ + k]) * (1.0f / 255);
        return {image, std::int64_t(x[label_bytes_ - 1])};
    }

private:
    static constexpr Index pixels = 3 * 32 * 32;
    Index record() const { return label_bytes_ + pixels; }

    Index label_bytes_;
    std::vector<Ref<io::MappedFile>> files_;
    std::vector<Index> sizes_;
};

}  // namespace lamina::inline LAMINA_ABI::data
