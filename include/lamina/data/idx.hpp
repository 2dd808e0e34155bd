#pragma once
// MNIST, Fashion-MNIST and their relatives: a file of images and a file of labels. Needs zlib.
#include <lamina/data/dataset.hpp>
#include <lamina/io/idx.hpp>

namespace lamina::inline LAMINA_ABI::data {

/// Grey images as floats [1, H, W] in [0, 1] with their labels, held in memory as bytes.
class Idx {
public:
    /// Reads both files, plain or gzip. Throws IoError, ShapeError when they have different numbers.
    Idx(const std::string& images, const std::string& labels)
        : images_(io::load_idx<std::uint8_t, 3>(images)),
          labels_(io::load_idx<std::int64_t, 1>(labels)) {
        require(images_.dim(0) == labels_.dim(0), "Idx: there must be a label for each image but there are ",
                labels_.dim(0), " for ", images_.dim(0), " images");
    }
    Index size() const { return images_.dim(0); }
    std::tuple<Tensor<float, 3>, std::int64_t> operator[](Index i) const {
        require<ValueError>(i >= 0 && i < size(), "Idx: index ", i, " must lie in [0, ", size(), ")");
        const Index height = images_.dim(1), width = images_.dim(2);
        auto image = empty<float>(Shape{1, height, width});
        const std::uint8_t* x = images_.data() + i * height * width;
        float* y = image.mutable_data();
        for (Index k = 0; k < height * width; ++k) y[k] = float(x[k]) * (1.0f / 255);
        return {image, labels_(i)};
    }
    const Tensor<std::uint8_t, 3>& images() const { return images_; }
    const Tensor<std::int64_t, 1>& labels() const { return labels_; }

private:
    Tensor<std::uint8_t, 3> images_;
    Tensor<std::int64_t, 1> labels_;
};

}  // namespace lamina::inline LAMINA_ABI::data
