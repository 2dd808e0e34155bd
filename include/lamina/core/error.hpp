#pragma once
// Exceptions and `require`, the one way an op refuses bad input.
#include <lamina/core/index.hpp>

#include <charconv>
#include <exception>
#include <initializer_list>
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

// A part whose type is forgotten: one function a type puts messages together, and not one for each list of types.
struct MessagePart {
    const void* value;
    void (*append_value)(std::string& out, const void* value);
};
inline void append_literal(std::string& out, const void* text) { out += static_cast<const char*>(text); }
template <class V>
void append_erased(std::string& out, const void* value) {
    append(out, *static_cast<const V*>(value));
}
template <class V>
LAMINA_INLINE MessagePart message_part(const V& value) {
    return {&value, append_erased<V>};
}
template <std::size_t N>
LAMINA_INLINE MessagePart message_part(const char (&text)[N]) {
    return {text, append_literal};
}

LAMINA_NOINLINE inline std::string joined(std::initializer_list<MessagePart> parts) {
    std::string out;
    for (const MessagePart& part : parts) part.append_value(out, part.value);
    return out;
}
template <class E>
[[noreturn]] LAMINA_NOINLINE void throw_joined(std::initializer_list<MessagePart> parts) {
#if defined(__cpp_exceptions)
    throw E(joined(parts));
#else
    std::fputs((joined(parts) + '\n').c_str(), stderr);
    std::abort();
#endif
}

}  // namespace detail

/// The parts written one after another: text, numbers, shapes.
template <class... Parts>
std::string message(const Parts&... parts) {
    return detail::joined({detail::message_part(parts)...});
}

/// Throws `E` with the parts as its message; prints it and aborts where exceptions are switched off.
template <class E = ShapeError, class... Parts>
[[noreturn]] LAMINA_NOINLINE void fail(const Parts&... parts) {
    detail::throw_joined<E>({detail::message_part(parts)...});
}

/// Throws `E` unless `holds`; the message is put together only then.
template <class E = ShapeError, class... Parts>
LAMINA_INLINE void require(bool holds, const Parts&... parts) {
    if (!holds) [[unlikely]]
        fail<E>(parts...);
}

}  // namespace lamina::inline LAMINA_ABI
