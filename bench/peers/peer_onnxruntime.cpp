// ONNX Runtime's C interface, a table of functions whose places never change, and sessions.
#include "peer_onnxruntime.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <stdexcept>

namespace peers::onnxruntime {
namespace {

struct Status;
struct Environment;
struct SessionOptions;
struct Session;
struct RunOptions;
struct Value;
struct Shape;
struct MemoryInfo;
struct Allocator;
struct Binding;

// What the library exports: a way to its table, and its version.
struct Base {
    void* const* (*table)(std::uint32_t version);
    const char* (*version)();
};

// A place in the table and the types of the function's arguments.
template <class... Arguments>
struct Function {
    std::size_t place;
};
constexpr Function<int, const char*, Environment**> create_environment{3};
constexpr Function<const Environment*, const void*, std::size_t, const SessionOptions*, Session**> create_session{8};
constexpr Function<SessionOptions**> create_options{10};
constexpr Function<SessionOptions*, int> set_optimization{23};
constexpr Function<SessionOptions*, int> set_threads_within{24};
constexpr Function<SessionOptions*, int> set_threads_between{25};
constexpr Function<const MemoryInfo*, void*, std::size_t, const Index*, std::size_t, int, Value**> create_value{49};
constexpr Function<Value*, void**> value_data{51};
constexpr Function<const Shape*, std::size_t*> shape_count{64};
constexpr Function<const Value*, Shape**> value_shape{65};
constexpr Function<int, int, MemoryInfo**> create_memory_info{69};
constexpr Function<Allocator**> default_allocator{78};
constexpr Function<SessionOptions*, const char*, const char*> set_option{130};
constexpr Function<Session*, const RunOptions*, const Binding*> run_bound{133};
constexpr Function<Session*, Binding**> create_binding{134};
constexpr Function<Binding*, const char*, const Value*> bind_input{136};
constexpr Function<Binding*, const char*, const Value*> bind_output{137};
constexpr Function<Binding*, const char*, const MemoryInfo*> bind_output_to{138};
constexpr Function<const Binding*, Allocator*, Value***, std::size_t*> bound_outputs{140};
constexpr std::size_t error_message = 2, free_memory = 76, release_status = 93, release_session = 95,
                      release_value = 96, release_shape = 99, release_options = 100, release_binding = 135;

struct Library {
    const Base* base = nullptr;
    void* const* table = nullptr;

    Library() {
        const char* const named = std::getenv("LAMINA_ONNXRUNTIME");
        const char* const cache = std::getenv("XDG_CACHE_HOME");
        const char* const home = std::getenv("HOME");
        const std::string folder = cache ? cache : std::string(home ? home : "") + "/.cache";
        const std::string places[] = {named ? named : "", folder + "/lamina/onnxruntime/libonnxruntime.so.1",
                                      "libonnxruntime.so.1", "libonnxruntime.so"};
        for (const auto& place : places) {
            void* const handle = place.empty() ? nullptr : ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
            if (!handle) continue;
            if (auto* const get = reinterpret_cast<const Base* (*)()>(::dlsym(handle, "OrtGetApiBase"))) base = get();
            if (base) table = base->table(14);
            if (table) return;
        }
        std::fputs("ONNX Runtime takes no part: sh bench/peers/onnxruntime.sh fetches it\n", stderr);
    }
};
const Library& library() {
    static const Library l;
    return l;
}

template <class Result, class... Arguments>
Result plain_call(std::size_t place, Arguments... arguments) {
    return reinterpret_cast<Result (*)(Arguments...)>(library().table[place])(arguments...);
}
template <class... Arguments>
void call(Function<Arguments...> function, std::type_identity_t<Arguments>... arguments) {
    Status* const status = plain_call<Status*, Arguments...>(function.place, arguments...);
    if (!status) return;
    const std::string what = plain_call<const char*, const Status*>(error_message, status);
    plain_call<void, Status*>(release_status, status);
    throw std::runtime_error("ONNX Runtime: " + what);
}
template <class Object, class... Arguments, class... Given>
Object* make(Function<Arguments...> function, Given... given) {
    Object* object = nullptr;
    call(function, given..., &object);
    return object;
}

const Environment* environment() {
    constexpr int only_errors = 3;
    static Environment* const e = make<Environment>(create_environment, only_errors, "lamina_peers");
    return e;
}
const MemoryInfo* memory() {
    constexpr int by_device = 0, by_default = 0;
    static MemoryInfo* const m = make<MemoryInfo>(create_memory_info, by_device, by_default);
    return m;
}

int threads = 1;

// A model ready to run, its arrays bound.
class Runner {
public:
    Runner(const std::string& model, Level level, const std::vector<Plan::Bound>& inputs, const Plan::Bound& output)
        : inputs_(inputs),
          output_(output) {
        auto* const options = make<SessionOptions>(create_options);
        call(set_optimization, options, int(level));
        call(set_threads_within, options, threads);
        call(set_threads_between, options, 1);
        // Like everyone's here, idle workers spin no longer than until the next of several calls in a row.
        call(set_option, options, "session.intra_op.spin_duration_us", "200");
        session_ = make<Session>(create_session, environment(), model.data(), model.size(), options);
        plain_call<void, SessionOptions*>(release_options, options);
        binding_ = make<Binding>(create_binding, session_);
        for (const auto& b : inputs_) call(bind_input, binding_, b.name.c_str(), wrap(b));
        if (output_.data) call(bind_output, binding_, output_.name.c_str(), wrap(output_));
        else call(bind_output_to, binding_, output_.name.c_str(), memory());
    }
    Runner(const Runner&) = delete;
    ~Runner() {
        plain_call<void, Binding*>(release_binding, binding_);
        for (auto* const value : values_) plain_call<void, Value*>(release_value, value);
        plain_call<void, Session*>(release_session, session_);
    }

    void run() const { call(run_bound, session_, nullptr, binding_); }

    // What `list` makes of the output that the runtime allocated.
    std::vector<Index> listed(const Plan::List& list) const {
        auto* const allocator = make<Allocator>(default_allocator);
        Value** values = nullptr;
        std::size_t count = 0, elements = 0;
        call(bound_outputs, binding_, allocator, &values, &count);
        auto* const shape = make<Shape>(value_shape, values[0]);
        call(shape_count, shape, &elements);
        plain_call<void, Shape*>(release_shape, shape);
        void* data = nullptr;
        call(value_data, values[0], &data);
        auto result = list(static_cast<const Index*>(data), Index(elements));
        plain_call<void, Value*>(release_value, values[0]);
        plain_call<Status*, Allocator*, void*>(free_memory, allocator, values);
        return result;
    }

private:
    Value* wrap(const Plan::Bound& b) {
        values_.push_back(make<Value>(create_value, memory(), b.data, b.bytes, b.dims.data(), b.dims.size(), b.type));
        return values_.back();
    }

    std::vector<Plan::Bound> inputs_;
    Plan::Bound output_;
    std::vector<Value*> values_;
    Session* session_ = nullptr;
    Binding* binding_ = nullptr;
};

}  // namespace

void set_threads(int n) { threads = n; }
std::string version() { return library().table ? library().base->version() : ""; }

void Plan::found(const std::string& name, List list) {
    graph.output<Index>(name);
    result_ = {};
    result_.name = name;
    list_ = std::move(list);
}

Contestants Plan::race(const std::string& variant, Level level) const {
    if (!library().table) return {};
    return {{"ONNX Runtime", variant, [plan = std::make_shared<Plan>(*this), level] {
                 const auto runner = std::make_shared<Runner>(plan->graph.model(), level, plan->bound_, plan->result_);
                 const auto run = [runner] { runner->run(); };
                 if (plan->read_) return Call{run, plan->read_};
                 const auto indices = std::make_shared<std::vector<Index>>();
                 return Call{run, [=](Index i) {
                                 if (i == 0) *indices = runner->listed(plan->list_);
                                 return i < Index(indices->size()) ? double((*indices)[std::size_t(i)]) : -1;
                             }};
             }}};
}

}  // namespace peers::onnxruntime
