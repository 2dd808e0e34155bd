#pragma once
// A pull reader for JSON: the caller names what it expects next, so nothing is built that was not asked for and a
// hostile text can neither nest deeply nor allocate more than a small multiple of its own length.
#include <lamina/core/error.hpp>

namespace lamina::inline LAMINA_ABI::io {

/// Reads one JSON text (RFC 8259) from front to back. Every misfit throws IoError that begins with `where` and names
/// the byte. `where` and `text` must outlive the reader.
class JsonReader {
public:
    static constexpr int max_depth = 64;

    JsonReader(std::string_view where, std::string_view text) : where_(where), text_(text) {}

    /// First character of the next value: one of `{ [ " t f n -` or a digit; 0 at the end of the text.
    char peek() {
        while (at_ < text_.size() && is_space(text_[at_])) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }

    /// Reads an object; `member(key)` is called for every member in order and must read its value.
    template <class F>
    void object(F&& member) {
        enter('{', "an object");
        for (bool more = !take('}'); more; more = next('}')) {
            if (peek() != '"') misfit("a member name");
            const std::string key = string();
            if (!take(':')) misfit("':'");
            member(key);
        }
        --depth_;
    }

    /// Reads an array; `element()` is called for every element in order and must read it.
    template <class F>
    void array(F&& element) {
        enter('[', "an array");
        for (bool more = !take(']'); more; more = next(']')) element();
        --depth_;
    }

    /// Reads a string; the result is valid UTF-8.
    std::string string();

    /// Reads a number that is written as an integer and fits 64 bits.
    std::int64_t integer() {
        const std::string_view digits = number_text();
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size()) {
            at_ -= digits.size();
            misfit("a 64-bit integer");
        }
        return value;
    }

    /// Reads a number that a double can hold; one that is too small is 0.
    double number() {
        const std::string_view digits = number_text();
        double value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        const auto exponent = digits.find_first_of("eE");
        const bool tiny = exponent == digits.npos ? digits.find('.') < 3 : digits[exponent + 1] == '-';
        if (error != std::errc{} && !tiny) {
            at_ -= digits.size();
            misfit("a number of at most 1.8e308");
        }
        return error == std::errc{} ? value : 0;
    }

    bool boolean() {
        const bool value = peek() == 't';
        word(value ? "true" : "false");
        return value;
    }

    void null() { word("null"); }

    /// Reads any value and forgets it.
    void skip() {
        switch (peek()) {
            case '{': return object([&](const std::string&) { skip(); });
            case '[': return array([&] { skip(); });
            case '"': return void(string());
            case 't':
            case 'f': return void(boolean());
            case 'n': return null();
            default: return void(number_text());
        }
    }

    /// Requires that only white space follows.
    void end() {
        if (peek() != '\0' || at_ < text_.size()) misfit("the end of the text");
    }

private:
    static constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
    static constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

    [[noreturn]] void misfit(std::string_view expected) const {
        fail<IoError>(where_, ": JSON must have ", expected, " at byte ", at_, " of ", text_.size());
    }
    bool take(char c) {
        const bool found = peek() == c;
        at_ += found;
        return found;
    }
    bool next(char close) {
        if (take(close)) return false;
        if (!take(',')) misfit(close == '}' ? "',' or '}'" : "',' or ']'");
        return true;
    }
    void enter(char open, std::string_view name) {
        if (!take(open)) misfit(name);
        require<IoError>(++depth_ <= max_depth, where_, ": JSON must not nest deeper than ", max_depth, " (byte ", at_,
                         ")");
    }
    void word(std::string_view expected) {
        peek();
        if (text_.substr(at_, expected.size()) != expected) misfit(expected);
        at_ += expected.size();
    }
    std::size_t digits() {
        const std::size_t first = at_;
        while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
        return at_ - first;
    }
    bool accept(char c) {
        const bool found = at_ < text_.size() && text_[at_] == c;
        at_ += found;
        return found;
    }
    std::string_view number_text();
    unsigned hex4();
    void escape(std::string& out);

    std::string_view where_, text_;
    std::size_t at_ = 0;
    int depth_ = 0;
};

inline std::string_view JsonReader::number_text() {
    peek();
    const std::size_t first = at_;
    accept('-');
    const bool zero = at_ < text_.size() && text_[at_] == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) misfit("a value");
    if (accept('.') && digits() == 0) misfit("a digit");
    if (accept('e') || accept('E')) {
        if (!accept('+')) accept('-');
        if (digits() == 0) misfit("a digit");
    }
    return text_.substr(first, at_ - first);
}

inline unsigned JsonReader::hex4() {
    unsigned value = 0;
    const std::string_view text = text_.substr(at_, 4);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + 4) misfit("four hexadecimal digits");
    at_ += 4;
    return value;
}

namespace detail {
inline void append_utf8(std::string& out, unsigned code) {
    if (code < 0x80) {
        out += char(code);
        return;
    }
    const int tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr unsigned lead[] = {0, 0xC0, 0xE0, 0xF0};
    out += char(lead[tail] | code >> 6 * tail);
    for (int i = tail - 1; i >= 0; --i) out += char(0x80 | (code >> 6 * i & 0x3F));
}
/// Bytes of the UTF-8 sequence at the front of `text`, or 0 when there is none: overlong forms, surrogates and codes
/// above U+10FFFF are not UTF-8 (Unicode 15, table 3-7).
constexpr std::size_t utf8_sequence(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? unsigned(static_cast<unsigned char>(text[i])) : 0u;
    };
    const unsigned lead = byte(0);
    if (lead < 0x80) return text.empty() ? 0 : 1;
    const std::size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (std::size_t i = 1; i < length; ++i)
        if (byte(i) < (i == 1 ? low : 0x80) || byte(i) > (i == 1 ? high : 0xBF)) return 0;
    return length;
}
}  // namespace detail

inline void JsonReader::escape(std::string& out) {
    constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
    if (const auto simple = at_ < text_.size() ? from.find(text_[at_]) : from.npos; simple != from.npos) {
        out += to[simple];
        ++at_;
        return;
    }
    if (!accept('u')) misfit("an escape sequence");
    unsigned code = hex4();
    if (code >= 0xD800 && code < 0xDC00) {
        const unsigned low = accept('\\') && accept('u') ? hex4() : 0;
        if (low < 0xDC00 || low > 0xDFFF) misfit("the second half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
        misfit("the first half of a surrogate pair");
    }
    detail::append_utf8(out, code);
}

inline std::string JsonReader::string() {
    if (!take('"')) misfit("a string");
    std::string out;
    for (;;) {
        if (at_ >= text_.size()) misfit("the end of a string");
        if (accept('"')) return out;
        if (accept('\\')) {
            escape(out);
            continue;
        }
        const std::size_t length = detail::utf8_sequence(text_.substr(at_, 4));
        if (length == 0 || static_cast<unsigned char>(text_[at_]) < 0x20) misfit("UTF-8 without control characters");
        out += text_.substr(at_, length);
        at_ += length;
    }
}

/// Appends `text` as a JSON string in quotes, escaped as little as the standard allows.
inline void append_json_string(std::string& out, std::string_view text) {
    constexpr std::string_view from = "\"\\\b\f\n\r\t", to = "\"\\bfnrt";
    constexpr char hex[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        if (const auto simple = from.find(c); simple != from.npos) {
            out += '\\';
            out += to[simple];
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += "\\u00";
            out += hex[c >> 4];
            out += hex[c & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace lamina::inline LAMINA_ABI::io
