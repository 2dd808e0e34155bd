#pragma once
// Scenes for detectors, made of small labelled images: each scene is a textured background with some of the images
// pasted on it, cut out, enlarged and tinted at random. As many as one likes, with exact boxes.
#include <lamina/data/dataset.hpp>
#include <lamina/ops/interpolate.hpp>
#include <lamina/ops/random.hpp>

#include <cmath>

namespace lamina::inline LAMINA_ABI::data {

/// How Scenes composes. Ranges are drawn from evenly, the sizes on a logarithmic scale.
struct ScenesOptions {
    Index scenes = 1000;                ///< number of samples
    Index side = 128;                   ///< height and width of a scene
    Index fewest = 1, most = 6;         ///< objects on it
    Index smallest = 32, largest = 64;  ///< longer side of an object
    double stretch = 1.2;               ///< its width by its height changes by a factor in [1 / stretch, stretch]
    double covered = 0.25;              ///< two boxes share at most this part of the smaller one
    double faintest = 0.75;             ///< least opacity of an object
    double texture = 1;                 ///< how strong the background's patterns are; 0 leaves one colour
    std::uint8_t cutout = 12;           ///< pixels of an image that are at most so bright show what is behind
};

/// Sample: the scene [3, side, side] in [0, 1], boxes [most, 4] (x1, y1, x2, y2) and classes [most] of its objects in
/// the order of pasting, later ones in front. Rows behind the last object have boxes of 0 and class -1. A box is that
/// of the whole object, whether or not another hides a part. An object that finds no place in 30 attempts is left out.
class Scenes {
public:
    /// Images [N, H, W] of bytes, bright on black, and their labels [N]. Throws ShapeError for another number of labels
    /// or no image, ValueError for options that make no scene.
    Scenes(Tensor<std::uint8_t, 3> images, Tensor<std::int64_t, 1> labels, const ScenesOptions& options = {})
        : images_(images.is_contiguous() ? std::move(images) : images.clone()),
          labels_(labels.is_contiguous() ? std::move(labels) : labels.clone()),
          o_(options) {
        require(images_.numel() > 0 && images_.dim(0) == labels_.dim(0),
                "Scenes: there must be images and a label for each (", images_.shape(), " and ", labels_.shape(), ")");
        require<ValueError>(o_.scenes >= 0 && o_.fewest >= 0 && o_.most >= 1 && o_.fewest <= o_.most,
                            "Scenes: the number of objects must lie in a range from 0 up but lies in [", o_.fewest,
                            ", ", o_.most, "] (", o_.scenes, " scenes)");
        require<ValueError>(o_.smallest >= 1 && o_.smallest <= o_.largest && o_.largest <= o_.side,
                            "Scenes: sizes must lie in [1, ", o_.side, "] but lie in [", o_.smallest, ", ", o_.largest,
                            "]");
        require<ValueError>(o_.stretch >= 1 && o_.covered >= 0 && o_.faintest >= 0 && o_.faintest <= 1,
                            "Scenes: stretch must be at least 1, covered not negative and faintest lie in [0, 1] (",
                            o_.stretch, ", ", o_.covered, ", ", o_.faintest, ")");
    }
    Index size() const { return o_.scenes; }
    const ScenesOptions& options() const { return o_; }

    std::tuple<Tensor<float, 3>, Tensor<float, 2>, Tensor<std::int64_t, 1>> get(Index i, random::Rng& rng) const {
        require<ValueError>(i >= 0 && i < size(), "Scenes: index ", i, " must lie in [0, ", size(), ")");
        auto scene = background(rng);
        auto boxes = zeros<float>(Shape{o_.most, 4});
        auto classes = full<std::int64_t>(Shape{o_.most}, -1);
        std::int64_t* const labels = classes.mutable_data();
        float* const rows = boxes.mutable_data();
        const Index wanted = rng.integer(o_.fewest, o_.most + 1);
        Index count = 0;
        for (Index k = 0; k < wanted; ++k) {
            const Index image = rng.integer(0, images_.dim(0));
            const Part part = bright_part(image);
            const Box box = place(part, rows, count, rng);
            if (box.width == 0) continue;
            paste(image, part, box, scene, rng);
            labels[count] = labels_.data()[image];
            float* const row = rows + 4 * count++;
            row[0] = float(box.x), row[1] = float(box.y);
            row[2] = float(box.x + box.width), row[3] = float(box.y + box.height);
        }
        return {scene, boxes, classes};
    }
    /// Scene i of a fixed set.
    auto operator[](Index i) const {
        random::Rng rng(0, std::uint64_t(i) << 20);
        return get(i, rng);
    }

private:
    struct Box {
        Index x, y, width, height;
    };
    using Part = Box;

    const std::uint8_t* pixels(Index image) const { return images_.data() + image * images_.dim(1) * images_.dim(2); }

    /// What of an image is not cut away; all of it when nothing is bright.
    Part bright_part(Index image) const {
        const Index height = images_.dim(1), width = images_.dim(2);
        const std::uint8_t* x = pixels(image);
        Index left = width, right = -1, top = height, bottom = -1;
        for (Index i = 0; i < height; ++i)
            for (Index j = 0; j < width; ++j)
                if (*x++ > o_.cutout) {
                    left = j < left ? j : left, right = j > right ? j : right;
                    top = i < top ? i : top, bottom = i;
                }
        return right < 0 ? Part{0, 0, width, height} : Part{left, top, right - left + 1, bottom - top + 1};
    }

    /// A random size and a place where it leaves enough of the other objects; width 0 if there is none.
    Box place(const Part& part, const float* others, Index count, random::Rng& rng) const {
        for (int attempt = 0; attempt < 30; ++attempt) {
            const double longer = double(o_.smallest) * std::pow(double(o_.largest) / double(o_.smallest), draw(rng));
            const double ratio =
                double(part.width) / double(part.height) * std::pow(o_.stretch, rng.uniform<double>(-1, 1));
            const auto side = [](double length) { return length < 1.5 ? Index(1) : Index(length + 0.5); };
            Box box{0, 0, side(ratio < 1 ? longer * ratio : longer), side(ratio < 1 ? longer : longer / ratio)};
            box.x = rng.integer(0, o_.side - box.width + 1);
            box.y = rng.integer(0, o_.side - box.height + 1);
            bool fits = true;
            for (Index k = 0; k < count && fits; ++k) fits = shared(box, others + 4 * k) <= o_.covered;
            if (fits) return box;
        }
        return {};
    }
    /// The part of the smaller of two boxes that lies in the other.
    static double shared(const Box& a, const float* b) {
        const auto common = [](double p, double q, double r, double s) {
            const double length = (q < s ? q : s) - (p > r ? p : r);
            return length > 0 ? length : 0;
        };
        const double w = common(double(a.x), double(a.x + a.width), double(b[0]), double(b[2]));
        const double h = common(double(a.y), double(a.y + a.height), double(b[1]), double(b[3]));
        const double area = double(a.width * a.height), other = double((b[2] - b[0]) * (b[3] - b[1]));
        return w * h / (area < other ? area : other);
    }

    /// Puts a part of an image onto the scene: mirrored half of the time, with a tint and an opacity of its own.
    void paste(Index image, const Part& part, const Box& box, Tensor<float, 3>& scene, random::Rng& rng) const {
        auto cut = empty<float>(Shape{1, 2, part.height, part.width});  // brightness, and what is not cut away
        float* const to = cut.mutable_data();
        const Index cells = part.height * part.width;
        const bool mirrored = rng.bernoulli(0.5);
        for (Index i = 0; i < part.height; ++i)
            for (Index j = 0; j < part.width; ++j) {
                const Index column = part.x + (mirrored ? part.width - 1 - j : j);
                const std::uint8_t value = pixels(image)[(part.y + i) * images_.dim(2) + column];
                const bool solid = value > o_.cutout;
                to[i * part.width + j] = solid ? float(value) * (1.0f / 255) : 0;
                to[cells + i * part.width + j] = solid ? 1 : 0;
            }
        // Linear weights are never negative, so that brightness stays within what is not cut away.
        const auto sized =
            interpolate(cut, {.size = {box.height, box.width}, .mode = InterpolateMode::linear, .antialias = true});
        const float* const bright = sized.data();
        const float* const solid = bright + box.height * box.width;
        const auto opacity = float(rng.uniform<double>(o_.faintest, 1));
        for (Index c = 0; c < 3; ++c) {
            const float tint = opacity * (0.5f + 0.5f * rng.uniform());
            for (Index i = 0; i < box.height; ++i) {
                float* const y = scene.mutable_data() + (c * o_.side + box.y + i) * o_.side + box.x;
                const float *const b = bright + i * box.width, *const s = solid + i * box.width;
                for (Index j = 0; j < box.width; ++j) y[j] = y[j] * (1 - opacity * s[j]) + tint * b[j];
            }
        }
    }

    /// A colour, cloudy at several scales, often striped, with a little grain.
    Tensor<float, 3> background(random::Rng& rng) const {
        const Index side = o_.side, plane = side * side;
        auto out = empty<float>(Shape{3, side, side});
        float* const y = out.mutable_data();
        for (Index c = 0; c < 3; ++c) std::fill_n(y + c * plane, plane, rng.uniform(0.1f, 0.8f));
        if (o_.texture == 0) return out;
        for (Index cells = 3; cells < side; cells *= 2) {
            const auto strength = float(o_.texture * 0.35 * draw(rng) * draw(rng));
            auto clouds = rand<float>(rng, Shape{1, 3, cells, cells});
            // The channels move together for the most part: clouds are rather light and dark than coloured.
            float* const x = clouds.mutable_data();
            const Index count = cells * cells;
            for (Index i = 0; i < count; ++i) {
                x[count + i] = 0.7f * x[i] + 0.3f * x[count + i];
                x[2 * count + i] = 0.7f * x[i] + 0.3f * x[2 * count + i];
            }
            const auto wide = interpolate(clouds, {.size = side, .mode = InterpolateMode::cubic});
            for (Index i = 0; i < 3 * plane; ++i) y[i] += strength * (wide.data()[i] - 0.5f);
        }
        const double angle = 3.141592653589793 * draw(rng), step = 0.1 + 0.7 * draw(rng);
        const auto across = float(step * std::cos(angle)), down = float(step * std::sin(angle));
        const auto stripe = float(rng.bernoulli(0.5) ? o_.texture * 0.15 * draw(rng) : 0);
        const auto grainy = float(o_.texture * 0.1 * draw(rng));
        auto grain = rand<float>(rng, Shape{side, side});
        float* const detail = grain.mutable_data();
        for (Index i = 0; i < side; ++i)
            for (Index j = 0; j < side; ++j) {
                float& value = detail[i * side + j];
                value = grainy * (value - 0.5f) + stripe * wave(across * float(j) + down * float(i));
            }
        for (Index c = 0; c < 3; ++c)
            for (Index i = 0; i < plane; ++i) {
                const float value = y[c * plane + i] + detail[i], least = value > 0 ? value : 0;
                y[c * plane + i] = least < 1 ? least : 1;
            }
        return out;
    }
    /// A triangular wave between -1 and 1 of period 2 pi.
    static float wave(float x) {
        const float turns = x * 0.15915494f, part = turns - std::floor(turns);
        return part < 0.5f ? 4 * part - 1 : 3 - 4 * part;
    }
    static double draw(random::Rng& rng) { return rng.uniform<double>(); }

    Tensor<std::uint8_t, 3> images_;
    Tensor<std::int64_t, 1> labels_;
    ScenesOptions o_;
};

}  // namespace lamina::inline LAMINA_ABI::data
