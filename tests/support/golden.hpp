#pragma once
// Golden cases: inputs and results of public reference implementations, one safetensors file each, which live beside
// the repository. Tests run over whole folders of them, so that cases added later count without a change here.
#include <lamina/io/safetensors.hpp>
#include <tests/support/compare.hpp>

#include <doctest/doctest.h>

#include <dirent.h>
#include <cstdlib>

namespace lamina::inline LAMINA_ABI::test {

/// Folder of the golden cases: environment variable LAMINA_GOLDEN_DIR, else the build's definition of that name, else
/// ../shared/golden. Empty when it is missing; then a message says once that the cases are skipped.
inline const std::string& golden_root() {
    static const std::string root = [] {
        const char* folder = std::getenv("LAMINA_GOLDEN_DIR");
#if defined(LAMINA_GOLDEN_DIR)
        if (!folder) folder = LAMINA_GOLDEN_DIR;
#endif
        const std::string path = folder ? folder : "../shared/golden";
        struct ::stat info {};
        if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return path;
        MESSAGE("skipped: no golden cases in " << path << " (set LAMINA_GOLDEN_DIR)");
        return std::string();
    }();
    return root;
}

/// One golden case, named by its path below the root without the ending: `GoldenCase c("ops/softmax/last")`.
class GoldenCase {
public:
    /// Reads the file; throws IoError when there is none. Guard it by `golden_root().empty()`, or use golden_cases.
    explicit GoldenCase(std::string name)
        : name_(std::move(name)),
          file_(io::read_safetensors(golden_root() + "/" + name_ + ".safetensors")) {}

    const std::string& name() const { return name_; }
    const StateDict& tensors() const { return file_.tensors; }
    bool has(std::string_view tensor) const { return file_.tensors.find(tensor) != nullptr; }
    const AnyTensor& any(std::string_view tensor) const { return file_.tensors[tensor]; }
    template <Element T, int R>
    Tensor<T, R> tensor(std::string_view tensor) const {
        return any(tensor).as<T, R>();
    }
    /// A floating tensor of the file in element type T: a case in float32 feeds a test in double too.
    template <Real T, int R>
    Tensor<T, R> as_real(std::string_view tensor) const {
        AnyTensor out = AnyTensor::zeros(dtype_of<T>, any(tensor).shape());
        out.assign(any(tensor));
        return out.as<T, R>();
    }
    int rank(std::string_view tensor) const { return any(tensor).rank(); }

    bool has_meta(std::string_view key) const { return find(key) != nullptr; }
    /// Text of a metadata key, or `fallback` when it is absent.
    std::string meta(std::string_view key, std::string_view fallback = "") const {
        const std::string* value = find(key);
        return value ? *value : std::string(fallback);
    }
    double number(std::string_view key, double fallback) const {
        const std::string* value = find(key);
        return value ? io::JsonReader(name_, *value).number() : fallback;
    }
    Index integer(std::string_view key, Index fallback) const {
        const std::string* value = find(key);
        return value ? io::JsonReader(name_, *value).integer() : fallback;
    }
    bool flag(std::string_view key, bool fallback) const {
        const std::string* value = find(key);
        return value ? *value == "true" : fallback;
    }
    /// A list of integers such as `[2, 1]`; a single number is a list of one, an absent key an empty list.
    std::vector<Index> integers(std::string_view key) const {
        return list<Index>(key, [](io::JsonReader& json) { return json.integer(); });
    }
    /// A list of numbers such as `[0.5, 1]`, likewise.
    std::vector<double> numbers(std::string_view key) const {
        return list<double>(key, [](io::JsonReader& json) { return json.number(); });
    }

private:
    const std::string* find(std::string_view key) const {
        for (const auto& [name, value] : file_.metadata)
            if (name == key) return &value;
        return nullptr;
    }
    template <class N, class Read>
    std::vector<N> list(std::string_view key, Read&& read) const {
        std::vector<N> out;
        if (const std::string* value = find(key)) {
            io::JsonReader json(name_, *value);
            if (json.peek() == '[') json.array([&] { out.push_back(read(json)); });
            else out.push_back(read(json));
        }
        return out;
    }

    std::string name_;
    io::Safetensors file_;
};

namespace detail {
inline void find_golden(const std::string& folder, std::vector<std::string>& names) {
    constexpr std::string_view ending = ".safetensors";
    ::DIR* const directory = ::opendir((golden_root() + "/" + folder).c_str());
    if (!directory) return;
    while (const ::dirent* entry = ::readdir(directory)) {
        const std::string name = entry->d_name, path = folder + "/" + name;
        if (name[0] == '.') continue;
        if (name.ends_with(ending)) names.push_back(path.substr(0, path.size() - ending.size()));
        else find_golden(path, names);
    }
    ::closedir(directory);
}

/// The numbers of a tensor of any type, as double; exact for all but large 64-bit integers.
inline std::vector<double> doubles_of(const AnyTensor& tensor) {
    std::vector<double> out(std::size_t(tensor.numel()));
    visit_dtype(tensor.dtype(), [&]<class T>(T) {
        const auto* x = reinterpret_cast<const T*>(tensor.data());
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = double(x[i]);
    });
    return out;
}

inline bool is_floating(DType type) {
    return type == DType::f32 || type == DType::f64 || type == DType::f16 || type == DType::bf16;
}
}  // namespace detail

/// Names of all cases below `folder` (`"ops/softmax"`), sorted. Empty where the golden cases are missing altogether;
/// fails the test when only this folder has none.
inline std::vector<std::string> golden_names(const std::string& folder) {
    std::vector<std::string> names;
    if (golden_root().empty()) return names;
    detail::find_golden(folder, names);
    std::sort(names.begin(), names.end());
    CHECK_MESSAGE(!names.empty(), "no golden cases in " << folder);
    return names;
}

/// All cases below `folder`, as in `for (const auto& c : test::golden_cases("ops/softmax"))`.
inline std::vector<GoldenCase> golden_cases(const std::string& folder) {
    std::vector<GoldenCase> cases;
    for (const auto& name : golden_names(folder)) cases.emplace_back(name);
    return cases;
}

/// The one case `name` (`"backbone/resnet18"`), to be looped over like golden_cases; throws IoError when only this case
/// is missing.
inline std::vector<GoldenCase> golden_case(const std::string& name) {
    std::vector<GoldenCase> cases;
    if (!golden_root().empty()) cases.emplace_back(name);
    return cases;
}

/// Compares `actual` with tensor `reference` of the case by the rule of the cases' README: pass when max|a - b| is at
/// most `tol_<kind>_rel` * max|b| or `tol_<kind>_abs`, or 1e-5 relative where the file names no tolerance. Integers
/// and booleans must be equal. Tolerances grow by `slack`, for kernels with a documented other rounding.
inline bool check_against(const GoldenCase& c, std::string_view reference, const AnyTensor& actual,
                          const std::string& kind, double slack = 1) {
    const std::string label = c.name() + ": " + std::string(reference);
    const AnyTensor* const expected = c.tensors().find(reference);
    CHECK_MESSAGE(expected, label << " is not in the file");
    if (!expected) return false;
    const bool same_shape = expected->shape() == actual.shape();
    CHECK_MESSAGE(same_shape, label << " has shape " << expected->shape_text() << ", not " << actual.shape_text());
    if (!same_shape) return false;

    const auto a = detail::doubles_of(actual), b = detail::doubles_of(*expected);
    double error = 0, scale = 0;
    std::size_t worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::isfinite(b[i])) scale = std::max(scale, std::abs(b[i]));
        if (error_of(a[i], b[i]) > error) {
            error = error_of(a[i], b[i]);
            worst = i;
        }
    }
    const bool exact = !detail::is_floating(expected->dtype());
    const double relative = exact ? 0 : slack * c.number("tol_" + kind + "_rel", 1e-5);
    const double absolute = exact ? 0 : slack * c.number("tol_" + kind + "_abs", 0);
    const bool pass = error <= relative * scale || error <= absolute;
    CHECK_MESSAGE(pass, label << " differs by " << error << " (element " << worst << ": " << (a.empty() ? 0 : a[worst])
                              << ", expected " << (b.empty() ? 0 : b[worst]) << "; largest " << scale << "), allowed "
                              << relative << " relative, " << absolute << " absolute");
    return pass;
}

/// Compares a result with `out64.NAME`, the reference run in double, or `out.NAME` where the file has only that.
inline bool check_golden(const GoldenCase& c, const std::string& name, const AnyTensor& actual, double slack = 1) {
    return check_against(c, (c.has("out64." + name) ? "out64." : "out.") + name, actual, "out", slack);
}

/// Compares a gradient with `grad64.NAME` or `grad.NAME`; NAME is the tensor's own: `in.x`, `param.weight`.
inline bool check_golden_grad(const GoldenCase& c, const std::string& name, const AnyTensor& actual, double slack = 1) {
    return check_against(c, (c.has("grad64." + name) ? "grad64." : "grad.") + name, actual, "grad", slack);
}

}  // namespace lamina::inline LAMINA_ABI::test
