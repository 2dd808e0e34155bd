#pragma once
// A folder of images in one folder per class. Needs stb_image.
#include <lamina/data/dataset.hpp>
#include <lamina/io/image.hpp>
#include <lamina/io/pixels.hpp>

#include <dirent.h>
#include <sys/stat.h>

namespace lamina::inline LAMINA_ABI::data {

/// `folder/class/name.png` and so on as floats [3, H, W] in [0, 1] with the number of their class; classes and files
/// in the order of their names (torchvision.datasets.ImageFolder).
class ImageFolder {
public:
    /// Throws IoError when the folder has no classes or no images (.png .jpg .jpeg .bmp .ppm .pgm).
    explicit ImageFolder(const std::string& folder) {
        for (const std::string& name : names_in(folder)) {
            struct ::stat info {};
            if (::stat((folder + "/" + name).c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
            const auto label = std::int64_t(classes_.size());
            classes_.push_back(name);
            for (const std::string& file : names_in(folder + "/" + name))
                if (is_image(file)) files_.push_back({folder + "/" + name + "/" + file, label});
        }
        require<IoError>(!files_.empty(), "ImageFolder: \"", folder,
                         "\" must hold folders with images in them, but has ", Index(classes_.size()),
                         " folders and no image");
    }
    Index size() const { return Index(files_.size()); }
    std::tuple<Tensor<float, 3>, std::int64_t> operator[](Index i) const {
        require<ValueError>(i >= 0 && i < size(), "ImageFolder: index ", i, " must lie in [0, ", size(), ")");
        const File& file = files_[std::size_t(i)];
        return {io::to_planes<float>(io::load_image(file.path)), file.label};
    }
    /// Names of the classes by their numbers.
    const std::vector<std::string>& classes() const { return classes_; }
    const std::string& path(Index i) const { return files_[std::size_t(i)].path; }

private:
    struct File {
        std::string path;
        std::int64_t label;
    };
    static std::vector<std::string> names_in(const std::string& folder) {
        std::vector<std::string> names;
        ::DIR* const directory = ::opendir(folder.c_str());
        require<IoError>(directory, "ImageFolder: \"", folder, "\" must be a folder");
        while (const ::dirent* entry = ::readdir(directory))
            if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
        ::closedir(directory);
        std::sort(names.begin(), names.end());
        return names;
    }
    static bool is_image(std::string name) {
        for (char& c : name) c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
        for (const char* ending : {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"})
            if (name.ends_with(ending)) return true;
        return false;
    }

    std::vector<std::string> classes_;
    std::vector<File> files_;
};

}  // namespace lamina::inline LAMINA_ABI::data
