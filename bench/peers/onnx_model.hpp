#pragma once
// Writes models in the ONNX format: protobuf messages by hand, a few dozen lines instead of its library. A field is its
// number and wire type, then a varint, four bytes, or a length and as many bytes.
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace peers::onnx {

using Index = std::int64_t;
using Dims = std::vector<Index>;

/// A protobuf message under construction.
class Message {
public:
    Message& number(int field, Index value) {
        key(field, 0);
        varint(std::uint64_t(value));
        return *this;
    }
    Message& real(int field, float value) {
        key(field, 5);
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    Message& bytes(int field, std::string_view value) {
        key(field, 2);
        varint(value.size());
        bytes_.append(value);
        return *this;
    }
    Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
    const std::string& text() const { return bytes_; }

private:
    void key(int field, int wire_type) { varint(std::uint64_t(field << 3 | wire_type)); }
    void varint(std::uint64_t v) {
        for (; v >= 0x80; v >>= 7) bytes_.push_back(char(v | 0x80));
        bytes_.push_back(char(v));
    }
    std::string bytes_;
};

/// TensorProto.DataType of T.
template <class T>
inline constexpr int element_type = 0;
template <>
inline constexpr int element_type<float> = 1;
template <>
inline constexpr int element_type<Index> = 7;
template <>
inline constexpr int element_type<double> = 11;

/// A named option of a node.
struct Attribute {
    std::string name;
    std::variant<Index, float, std::string, Dims> value;
};
using Attributes = std::vector<Attribute>;

/// A graph that grows node by node; values are known by their names.
class Graph {
public:
    int opset = 21;  ///< version of the standard operators

    /// Adds a node and returns the name of its output; an input left out is "".
    std::string node(const char* op, const std::vector<std::string>& inputs, const Attributes& attributes = {},
                     const char* domain = "") {
        Message node;
        for (const auto& input : inputs) node.bytes(1, input);
        auto name = fresh_name();
        node.bytes(2, name).bytes(3, name + "_" + op).bytes(4, op);
        for (const auto& attribute : attributes) node.message(5, encode(attribute));
        if (*domain) node.bytes(7, domain);
        graph_.message(1, node);
        return name;
    }

    /// A tensor that is a part of the model.
    template <class T>
    std::string constant(const T* data, const Dims& dims) {
        Message tensor;
        Index count = 1;
        for (const Index d : dims) tensor.number(1, d), count *= d;
        auto name = fresh_name();
        tensor.number(2, element_type<T>).bytes(8, name);
        tensor.bytes(9, {reinterpret_cast<const char*>(data), std::size_t(count) * sizeof(T)});
        graph_.message(5, tensor);
        return name;
    }
    template <class T>
    std::string constant(std::initializer_list<T> values) {
        return constant(values.begin(), {Index(values.size())});
    }

    template <class T>
    std::string input(const Dims& dims) {
        auto name = fresh_name();
        graph_.message(11, value(name, element_type<T>, &dims));
        return name;
    }
    /// Declares a node's output to be one of the model, its sizes being left to the runtime.
    template <class T>
    void output(const std::string& name) {
        graph_.message(12, value(name, element_type<T>, nullptr));
    }

    /// The file's contents.
    std::string model() const {
        const auto set = [](const char* domain, Index version) {
            return Message().bytes(1, domain).number(2, version);
        };
        Message model, graph = graph_;
        graph.bytes(2, "graph");
        model.number(1, 10).message(7, graph).message(8, set("", opset)).message(8, set("com.microsoft", 1));
        return model.text();
    }

private:
    std::string fresh_name() { return std::string("v").append(std::to_string(names_++)); }

    static Message encode(const Attribute& a) {
        Message m;
        m.bytes(1, a.name);
        if (const auto* number = std::get_if<Index>(&a.value)) return m.number(3, *number).number(20, 2);
        if (const auto* real = std::get_if<float>(&a.value)) return m.real(2, *real).number(20, 1);
        if (const auto* text = std::get_if<std::string>(&a.value)) return m.bytes(4, *text).number(20, 3);
        for (const Index i : std::get<Dims>(a.value)) m.number(8, i);
        return m.number(20, 7);
    }
    static Message value(const std::string& name, int type, const Dims* dims) {
        Message tensor, shape;
        tensor.number(1, type);
        if (dims) {
            for (const Index d : *dims) shape.message(1, Message().number(1, d));
            tensor.message(2, shape);
        }
        return Message().bytes(1, name).message(2, Message().message(1, tensor));
    }

    Message graph_;
    int names_ = 0;
};

}  // namespace peers::onnx
