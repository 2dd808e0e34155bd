#pragma once
// Tensors as text: shape, type, and the elements, long dimensions cut to their first and last three.
#include <lamina/core/tensor.hpp>

#include <cstdio>
#include <iosfwd>

namespace lamina::inline LAMINA_ABI {

namespace detail {

inline constexpr Index print_edge = 3, print_limit = 1000;

template <Element T>
void append_element(std::string& out, T value) {
    if constexpr (std::is_same_v<T, bool>) out += value ? "true" : "false";
    else if constexpr (std::is_integral_v<T>) append(out, Index(value));
    else {
        char text[32];
        std::snprintf(text, sizeof text, "%.5g", double(float(value)));
        if constexpr (std::is_same_v<T, double>) std::snprintf(text, sizeof text, "%.6g", value);
        out += text;
    }
}

template <class T>
void append_block(std::string& out, const T* data, const Index* extents, const Index* strides, int rank, bool cut,
                  int indent) {
    if (rank == 0) return append_element(out, *data);
    out += '[';
    for (Index i = 0; i < extents[0]; ++i) {
        if (i) {
            out += rank > 1 ? "," : ", ";
            if (rank > 1) out.append(1, '\n').append(std::size_t(indent + 1), ' ');
        }
        if (cut && i == print_edge && extents[0] > 2 * print_edge) {
            out += "…";
            i = extents[0] - print_edge - 1;
            continue;
        }
        append_block(out, data + i * strides[0], extents + 1, strides + 1, rank - 1, cut, indent + 1);
    }
    out += ']';
}

}  // namespace detail

template <Element T, int R>
void Tensor<T, R>::append_to(std::string& out) const {
    if (!defined()) {
        out += "tensor(undefined)";
        return;
    }
    out += "tensor(";
    detail::append_block(out, data_, shape_.begin(), strides_.data(), R, numel() > detail::print_limit, 7);
    out += ", shape ";
    shape_.append_to(out);
    out += ", ";
    out += dtype_traits<T>::name;
    out += ')';
}

/// "tensor([[1, 2],\n        [3, 4]], shape [2, 2], float32)".
template <Element T, int R>
std::string to_string(const Tensor<T, R>& x) {
    return message(x);
}

/// Writes to_string(x); the program includes the stream header it uses.
template <class Traits, Element T, int R>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& stream, const Tensor<T, R>& x) {
    return stream << to_string(x).c_str();
}

}  // namespace lamina::inline LAMINA_ABI
