#pragma once
// Exceptions and `require`, the one way an op refuses bad input.
#include <lamina/core/index.hpp>

#include <charconv>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#if !defined(__cpp_exceptions)
#include <cstdio>
#include <cstdlib>
#endif

namespace lamina::inline LAMINA_ABI {

/// Base of every exception the library throws.
class Error : public std::exception {
public:
    explicit Error(std::string message) : message_(std::move(message)) {}
    const char* what() const noexcept override { return message_.c_str(); }

private:
    std::string message_;
};
/// Extents that do not fit each other or the operation.
struct ShapeError : Error {
    using Error::Error;
};
/// An option, index or element outside what the operation allows.
struct ValueError : Error {
    using Error::Error;
};
/// A misuse of gradients: no tape, a consumed tape, a saved tensor that changed.
struct GradError : Error {
    using Error::Error;
};
/// A file that is missing, malformed or cannot be written.
struct IoError : Error {
    using Error::Error;
};

namespace detail {

inline void append(std::string& out, std::string_view text) { out += text; }
template <class N>
    requires std::is_arithmetic_v<N>
void append(std::string& out, N number) {
    if constexpr (std::is_same_v<N, bool>) {
        out += number ? "true" : "false";
    } else {
        char digits[32];
        out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
    }
}
template <class V>
    requires requires(const V& value, std::string& out) { value.append_to(out); }
void append(std::string& out, const V& value) { value.append_to(out); }

}  // namespace detail

/// The parts written one after another: text, numbers, shapes.
template <class... Parts>
std::string message(const Parts&... parts) {
    std::string out;
    (detail::append(out, parts), ...);
    return out;
}

/// Throws `E` with the parts as its message; prints it and aborts where exceptions are switched off.
template <class E = ShapeError, class... Parts>
[[noreturn]] LAMINA_NOINLINE void fail(const Parts&... parts) {
#if defined(__cpp_exceptions)
    throw E(message(parts...));
#else
    std::fputs((message(parts...) + '\n').c_str(), stderr);
    std::abort();
#endif
}

/// Throws `E` unless `holds`; the message is put together only then.
template <class E = ShapeError, class... Parts>
LAMINA_INLINE void require(bool holds, const Parts&... parts) {
    if (!holds) [[unlikely]]
        fail<E>(parts...);
}

}  // namespace lamina::inline LAMINA_ABI
