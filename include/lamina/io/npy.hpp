#pragma once
// Arrays of NumPy's .npy format (numpy/lib/format.py, versions 1 to 3), one per file.
#include <lamina/io/atomic_file.hpp>
#include <lamina/io/mapped_tensor.hpp>

#include <algorithm>

namespace lamina::inline LAMINA_ABI::io {

/// Reads an .npy file. Little-endian arrays in C order stay in the mapped file, without a copy; others are converted.
/// Throws IoError naming the file, also for element types that no tensor has (objects, strings, complex numbers, wide
/// unsigned integers).
AnyTensor load_npy(const std::string& path);

/// Writes an .npy file of version 1, replacing the old one in one step. Throws IoError, and ValueError for bfloat16,
/// which NumPy does not have.
void save_npy(const std::string& path, const AnyTensor& tensor);

namespace detail {

struct NpyType {
    std::string_view code;  ///< kind and size, as in "f4"
    DType dtype;
};
inline constexpr NpyType npy_types[] = {{"f4", DType::f32}, {"f8", DType::f64}, {"f2", DType::f16},
                                        {"i8", DType::i64}, {"i4", DType::i32}, {"i2", DType::i16},
                                        {"i1", DType::i8},  {"u1", DType::u8},  {"b1", DType::boolean}};

/// Reads the header of an array, a dictionary in Python's notation.
class NpyHeader {
public:
    DType dtype{};
    bool swapped = false, fortran = false;
    std::vector<Index> shape;

    NpyHeader(std::string_view where, std::string_view text) : where_(where), text_(text) {
        bool descr = false, order = false, extents = false;
        expect('{');
        while (!take('}')) {
            const std::string_view key = quoted();
            expect(':');
            if (key == "descr" && !std::exchange(descr, true)) read_type();
            else if (key == "fortran_order" && !std::exchange(order, true)) read_order();
            else if (key == "shape" && !std::exchange(extents, true)) read_shape();
            else misfit("each of descr, fortran_order and shape once");
            if (!take(',') && peek() != '}') misfit("',' or '}'");
        }
        if (peek() != '\0' || at_ < text_.size()) misfit("nothing behind '}'");
        if (!descr || !order || !extents) misfit("descr, fortran_order and shape");
    }

private:
    [[noreturn]] void misfit(std::string_view expected) const {
        fail<IoError>(where_, ": the array's header must have ", expected, " at byte ", at_, " of ", text_.size());
    }
    char peek() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool take(char c) {
        const bool found = peek() == c;
        at_ += found;
        return found;
    }
    void expect(char c) {
        if (!take(c)) misfit(std::string_view(&c, 1));
    }
    std::string_view quoted() {
        const char quote = peek();
        if (quote != '\'' && quote != '"') misfit("a quoted word");
        const std::size_t first = at_ + 1, last = text_.find(quote, first);
        if (last == std::string_view::npos) misfit("the end of a quoted word");
        at_ = last + 1;
        return text_.substr(first, last - first);
    }
    bool word(std::string_view expected) {
        peek();
        const bool found = text_.substr(at_, expected.size()) == expected;
        if (found) at_ += expected.size();
        return found;
    }
    void read_type() {
        const std::string_view descr = quoted();
        for (const auto& type : npy_types)
            if (descr.size() == 3 && descr.substr(1) == type.code) {
                const bool one_byte = size_of(type.dtype) == 1;
                if (descr[0] != '<' && descr[0] != '>' && descr[0] != '=' && !(descr[0] == '|' && one_byte)) break;
                dtype = type.dtype;
                swapped = descr[0] == '>' && !one_byte;
                return;
            }
        fail<IoError>(where_, ": the array must have one of the element types f4 f8 f2 i8 i4 i2 i1 u1 b1 but has ",
                      shortened(descr));
    }
    void read_order() {
        fortran = word("True");
        if (!fortran && !word("False")) misfit("True or False");
    }
    void read_shape() {
        expect('(');
        while (!take(')')) {
            peek();
            Index extent = -1;
            const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
            if (error != std::errc{} || extent < 0) misfit("an extent");
            at_ = std::size_t(end - text_.data());
            if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote long integers so
            shape.push_back(extent);
            if (!take(',') && peek() != ')') misfit("',' or ')'");
        }
    }

    std::string_view where_, text_;
    std::size_t at_ = 0;
};

template <std::size_t Size>
void reverse_bytes(std::byte* data, Index count) {
    for (Index i = 0; i < count; ++i) std::reverse(data + i * Index(Size), data + (i + 1) * Index(Size));
}

/// Copies an array whose first dimension is dense to one whose last is.
inline void copy_fortran_order(const std::byte* from, std::byte* to, const std::vector<Index>& shape,
                               std::size_t size) {
    std::vector<Index> at(shape.size(), 0), strides(shape.size(), 1);
    Index count = 1;
    for (std::size_t d = 0; d < shape.size(); ++d) {
        strides[d] = count;
        count *= shape[d];
    }
    for (Index i = 0, source = 0; i < count; ++i) {
        std::memcpy(to + i * Index(size), from + source * Index(size), size);
        for (std::size_t d = shape.size(); d-- > 0;) {
            source += strides[d];
            if (++at[d] < shape[d]) break;
            source -= strides[d] * shape[d];
            at[d] = 0;
        }
    }
}

/// The array in `bytes` (the contents of an .npy file); `file` is the one they are mapped from, or null.
inline AnyTensor parse_npy(std::string_view where, const Ref<MappedFile>& file, std::byte* bytes, std::size_t size) {
    constexpr std::string_view magic = "\x93NUMPY";
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    const auto byte = [&](std::size_t i) { return std::size_t(static_cast<unsigned char>(text[i])); };
    require<IoError>(size >= 12 && text.starts_with(magic), where,
                     ": the array must begin with \\x93NUMPY and a version");
    require<IoError>(byte(6) >= 1 && byte(6) <= 3, where, ": the array must be of version 1, 2 or 3 but is of ",
                     byte(6));
    const std::size_t start = byte(6) == 1 ? 10 : 12;
    std::size_t length = byte(8) | byte(9) << 8;
    if (byte(6) > 1) length |= byte(10) << 16 | byte(11) << 24;
    require<IoError>(length <= size - start, where, ": the array's header claims ", length, " bytes and must fit the ",
                     size - start, " that follow");
    NpyHeader header(where, text.substr(start, length));

    const std::string label = message(where, ": the array");
    std::byte* const data = bytes + start + length;
    const std::size_t needed = checked_bytes(header.dtype, header.shape, label), given = size - start - length;
    if (needed != given) {
        std::string shape;
        Shape<0>::append_extents(shape, header.shape.data(), int(std::min<std::size_t>(header.shape.size(), 16)));
        fail<IoError>(label, " must have ", needed, " bytes for ", name_of(header.dtype), " of shape ", shape,
                      " but has ", given);
    }
    const bool as_it_is = !header.swapped && !(header.fortran && header.shape.size() > 1);
    if (as_it_is) return tensor_at(file, data, header.dtype, std::move(header.shape), label);

    if (header.dtype == DType::boolean) require_booleans(data, needed, label);
    const std::size_t element = size_of(header.dtype);
    auto out = AnyTensor::zeros(header.dtype, std::move(header.shape));
    std::byte* const to = out.mutable_data();
    if (needed == 0) return out;
    if (header.fortran) copy_fortran_order(data, to, out.shape(), element);
    else std::memcpy(to, data, needed);
    if (header.swapped) {
        if (element == 2) reverse_bytes<2>(to, out.numel());
        if (element == 4) reverse_bytes<4>(to, out.numel());
        if (element == 8) reverse_bytes<8>(to, out.numel());
    }
    return out;
}

/// Everything of an .npy file before the elements; padded so that these begin at a multiple of 64.
inline std::string npy_header(std::string_view op, const AnyTensor& tensor) {
    std::string_view code;
    for (const auto& type : npy_types)
        if (type.dtype == tensor.dtype()) code = type.code;
    require<ValueError>(!code.empty(), op, ": NumPy must know the element type but has no ", name_of(tensor.dtype()));
    require<ValueError>(tensor.defined(), op, ": the tensor must be defined");
    std::string dictionary =
        message("{'descr': '", size_of(tensor.dtype()) == 1 ? "|" : "<", code, "', 'fortran_order': False, 'shape': (");
    for (int d = 0; d < tensor.rank(); ++d) dictionary += message(d ? ", " : "", tensor.shape()[std::size_t(d)]);
    dictionary += tensor.rank() == 1 ? ",), }" : "), }";
    dictionary.append(63 - (10 + dictionary.size()) % 64, ' ');
    dictionary += '\n';
    require<ValueError>(dictionary.size() < 65536, op, ": the tensor must have fewer dimensions than ", tensor.rank());
    std::string out("\x93NUMPY\x01\x00", 8);
    out += char(dictionary.size() & 0xff);
    out += char(dictionary.size() >> 8);
    return out + dictionary;
}

}  // namespace detail

inline AnyTensor load_npy(const std::string& path) {
    const Ref<MappedFile> file(new MappedFile("load_npy", path));
    return detail::parse_npy(message("load_npy: \"", path, "\""), file, file->mutable_data(), file->size());
}

inline void save_npy(const std::string& path, const AnyTensor& tensor) {
    const std::string header = detail::npy_header("save_npy", tensor);
    AtomicFile file("save_npy", path);
    file.write(header);
    file.write(tensor.data(), tensor.bytes());
    file.commit();
}

}  // namespace lamina::inline LAMINA_ABI::io
