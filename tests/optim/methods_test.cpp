// The optimizers beside SGD and Adam: golden trajectories where the reference has them, formulas in double elsewhere.
#include <lamina/optim/adadelta.hpp>
#include <lamina/optim/adafactor.hpp>
#include <lamina/optim/adagrad.hpp>
#include <lamina/optim/adamax.hpp>
#include <lamina/optim/lamb.hpp>
#include <lamina/optim/lion.hpp>
#include <lamina/optim/nadam.hpp>
#include <lamina/optim/radam.hpp>
#include <lamina/optim/rmsprop.hpp>
#include <tests/optim/parameters.hpp>

#include <doctest/doctest.h>

using namespace lamina;
using test::hyper;

namespace {

template <class Optimizer>
void check_case(const test::GoldenCase& c, typename Optimizer::Options options) {
    options.learning_rate = hyper(c, "lr");
    options.eps = hyper(c, "eps");
    options.weight_decay = hyper(c, "weight_decay");
    options.maximize = hyper(c, "maximize") != 0;
    const AnyTensor p0 = test::trainable(c.any("in.p0")), p1 = test::trainable(c.any("in.p1"));
    Optimizer optimizer({{"p0", p0}, {"p1", p1}}, options);
    for (Index step = 1; step <= 25; ++step) {
        test::give_gradient(p0, c.any("in.g0"), step - 1);
        test::give_gradient(p1, c.any("in.g1"), step - 1);
        optimizer.step();
        if (step != 1 && step != 2 && step != 5 && step != 25) continue;
        test::check_golden(c, message("p0.step", step), p0);
        test::check_golden(c, message("p1.step", step), p1);
    }
}
template <class O>
O with_betas(const test::GoldenCase& c) {
    O o;
    o.beta1 = hyper(c, "betas");
    o.beta2 = test::second_beta(c);
    return o;
}

using Numbers = std::vector<double>;

/// Runs five steps beside `reference(p, g, t)`, which changes p, for a matrix and two vectors; the large one has
/// several chunks.
template <class T, class Optimizer, class Reference>
void compare(const typename Optimizer::Options& options, Reference&& make_reference, double tolerance) {
    const std::vector<std::vector<Index>> shapes{{37}, {5, 7}, {2, 3, 130, 151}, {1, 9}, {}, {0}};
    std::vector<NamedTensor> parameters;
    std::vector<Numbers> expected;
    for (const auto& shape : shapes) {
        AnyTensor values = AnyTensor::zeros(dtype_of<T>, shape);
        Numbers numbers;
        for (Index i = 0; i < values.numel(); ++i) {
            const T v = T(test::wave_at(i));
            reinterpret_cast<T*>(values.mutable_data())[i] = v;
            numbers.push_back(double(v));
        }
        parameters.push_back({message("p", Index(shape.size())), test::trainable(values)});
        expected.push_back(numbers);
    }
    Optimizer optimizer(parameters, options);
    std::vector<decltype(make_reference(shapes[0]))> references;
    for (const auto& shape : shapes) references.push_back(make_reference(shape));
    for (int t = 1; t <= 5; ++t) {
        for (std::size_t j = 0; j < shapes.size(); ++j) {
            AnyTensor g = AnyTensor::zeros(dtype_of<T>, shapes[j]);
            Numbers numbers;
            for (Index i = 0; i < g.numel(); ++i) {
                const T v = T(test::wave_at(i, t) * 0.1);
                reinterpret_cast<T*>(g.mutable_data())[i] = v;
                numbers.push_back(double(v));
            }
            test::give_gradient(parameters[j].tensor, g);
            references[j](expected[j], numbers, t);
        }
        optimizer.step();
        for (std::size_t j = 0; j < shapes.size(); ++j) {
            const auto* p = reinterpret_cast<const T*>(parameters[j].tensor.data());
            double error = 0;
            for (std::size_t i = 0; i < expected[j].size(); ++i)
                error = std::max(error, test::error_of(double(p[i]), expected[j][i]));
            CHECK_MESSAGE(error <= tolerance, "shape " << parameters[j].tensor.shape_text() << " after step " << t
                                                       << " differs by " << error);
        }
    }
}

double root_mean_square(const Numbers& x) {
    double sum = 0;
    for (double v : x) sum += v * v;
    return std::sqrt(sum / double(x.size()));
}

auto lion_reference(const optim::LionOptions& o) {
    return [=](const std::vector<Index>&) {
        return [=, m = Numbers()](Numbers& p, const Numbers& g, int) mutable {
            m.resize(p.size(), 0);
            for (std::size_t i = 0; i < p.size(); ++i) {
                const double u = o.beta1 * m[i] + (1 - o.beta1) * g[i], sign = u > 0 ? 1 : u < 0 ? -1 : 0;
                p[i] -= o.learning_rate * (sign + o.weight_decay * p[i]);
                m[i] = o.beta2 * m[i] + (1 - o.beta2) * g[i];
            }
        };
    };
}

auto lamb_reference(const optim::LAMBOptions& o) {
    return [=](const std::vector<Index>&) {
        return [=, m = Numbers(), v = Numbers()](Numbers& p, const Numbers& g, int t) mutable {
            m.resize(p.size(), 0), v.resize(p.size(), 0);
            Numbers r(p.size());
            for (std::size_t i = 0; i < p.size(); ++i) {
                m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
                v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
                const double mh = m[i] / (1 - std::pow(o.beta1, t)), vh = v[i] / (1 - std::pow(o.beta2, t));
                r[i] = mh / (std::sqrt(vh) + o.eps) + o.weight_decay * p[i];
            }
            const double a = root_mean_square(p), b = root_mean_square(r), ratio = a > 0 && b > 0 ? a / b : 1;
            for (std::size_t i = 0; i < p.size(); ++i) p[i] -= o.learning_rate * ratio * r[i];
        };
    };
}

auto adafactor_reference(const optim::AdafactorOptions& o) {
    return [=](const std::vector<Index>& shape) {
        return [=, r = Numbers(), c = Numbers(), full = Numbers(), first = Numbers()](Numbers& p, const Numbers& g,
                                                                                      int t) mutable {
            const std::size_t n = p.size();
            if (n == 0) return;
            const double bound = o.warmup_init ? 1e-6 * t : o.learning_rate;
            double rate = o.relative_step ? std::min(bound, 1 / std::sqrt(double(t))) : o.learning_rate;
            if (o.scale_parameter) rate *= std::max(o.eps2, root_mean_square(p));
            const double b2 = 1 - std::pow(double(t), o.decay_rate);
            Numbers d(n);
            first.resize(n, 0);
            if (shape.size() >= 2) {
                const auto rows = std::size_t(shape[shape.size() - 2]), columns = std::size_t(shape.back());
                const std::size_t batch = n / (rows * columns);
                r.resize(batch * rows, 0), c.resize(batch * columns, 0);
                for (double& v : r) v *= b2;
                for (double& v : c) v *= b2;
                for (std::size_t i = 0; i < n; ++i) {
                    const double u = (1 - b2) * (g[i] * g[i] + o.eps1);
                    r[i / columns] += u / double(columns);
                    c[i / columns / rows * columns + i % columns] += u / double(rows);
                }
                for (std::size_t i = 0; i < n; ++i) {
                    const std::size_t b = i / columns / rows;
                    double mean = 0;
                    for (std::size_t k = 0; k < rows; ++k) mean += r[b * rows + k] / double(rows);
                    d[i] = g[i] / std::sqrt(r[i / columns] * c[b * columns + i % columns] / mean);
                }
            } else {
                full.resize(n, 0);
                for (std::size_t i = 0; i < n; ++i) {
                    full[i] = b2 * full[i] + (1 - b2) * (g[i] * g[i] + o.eps1);
                    d[i] = g[i] / std::sqrt(full[i]);
                }
            }
            const double excess = std::max(1.0, root_mean_square(d) / o.clip_threshold);
            for (std::size_t i = 0; i < n; ++i) {
                double move = rate * d[i] / excess;
                if (o.beta1 > 0) move = first[i] = o.beta1 * first[i] + (1 - o.beta1) * move;
                p[i] -= rate * o.weight_decay * p[i] + move;
            }
        };
    };
}

}  // namespace

TEST_CASE("optimizers: golden trajectories of the less usual ones") {
    int seen = 0;
    for (const auto& c : test::golden_cases("optim")) {
        const std::string op = c.meta("op");
        if (op == "optimizer RMSprop")
            check_case<optim::RMSprop>(
                c,
                {.alpha = hyper(c, "alpha"), .momentum = hyper(c, "momentum"), .centered = hyper(c, "centered") != 0});
        else if (op == "optimizer Adagrad")
            check_case<optim::Adagrad>(c, {.learning_rate_decay = hyper(c, "lr_decay"),
                                           .initial_accumulator_value = hyper(c, "initial_accumulator_value")});
        else if (op == "optimizer Adadelta") check_case<optim::Adadelta>(c, {.rho = hyper(c, "rho")});
        else if (op == "optimizer Adamax") check_case<optim::Adamax>(c, with_betas<optim::AdamaxOptions>(c));
        else if (op == "optimizer RAdam") check_case<optim::RAdam>(c, with_betas<optim::RAdamOptions>(c));
        else if (op == "optimizer NAdam") {
            auto options = with_betas<optim::NAdamOptions>(c);
            options.momentum_decay = hyper(c, "momentum_decay");
            check_case<optim::NAdam>(c, options);
        } else continue;
        ++seen;
    }
    CHECK((seen == 9 || test::golden_root().empty()));
}

TEST_CASE("Lion: formula in double") {
    const optim::LionOptions o{.learning_rate = 0.01, .weight_decay = 0.1};
    compare<float, optim::Lion>(o, lion_reference(o), 1e-6);
    compare<double, optim::Lion>(o, lion_reference(o), 1e-14);
    // The sign of nothing is nothing.
    const AnyTensor p = test::trainable(Tensor<float, 1>{2});
    test::give_gradient(p, Tensor<float, 1>{0});
    optim::Lion optimizer({{"p", p}}, {.learning_rate = 0.5});
    optimizer.step();
    CHECK(p.as<float, 1>()(0) == 2);
}

TEST_CASE("LAMB: formula in double") {
    const optim::LAMBOptions o{.learning_rate = 0.02, .weight_decay = 0.1};
    compare<float, optim::LAMB>(o, lamb_reference(o), 2e-6);
    compare<double, optim::LAMB>(o, lamb_reference(o), 1e-13);
    const optim::LAMBOptions no_eps{.learning_rate = 0.02, .eps = 0};
    compare<float, optim::LAMB>(no_eps, lamb_reference(no_eps), 2e-6);
    // Zero parameters move by the learning rate alone.
    const AnyTensor p = test::trainable(Tensor<float, 1>{0, 0});
    test::give_gradient(p, Tensor<float, 1>{3, -3});
    optim::LAMB optimizer({{"p", p}}, {.learning_rate = 0.5});
    optimizer.step();
    CHECK(p.as<float, 1>()(0) == doctest::Approx(-0.5));
}

TEST_CASE("Adafactor: formula in double") {
    const optim::AdafactorOptions plain;
    compare<float, optim::Adafactor>(plain, adafactor_reference(plain), 2e-6);
    compare<double, optim::Adafactor>(plain, adafactor_reference(plain), 1e-13);
    const optim::AdafactorOptions all{.learning_rate = 0.05,
                                      .clip_threshold = 0.5,
                                      .beta1 = 0.9,
                                      .weight_decay = 0.1,
                                      .scale_parameter = false,
                                      .relative_step = false};
    compare<float, optim::Adafactor>(all, adafactor_reference(all), 2e-6);
    const optim::AdafactorOptions warm{.warmup_init = true};
    compare<double, optim::Adafactor>(warm, adafactor_reference(warm), 1e-13);
    // Two vectors are kept for a matrix, everything for a vector.
    const AnyTensor w = test::trainable(Tensor<float, 2>{{1, 2, 3}, {4, 5, 6}}),
                    b = test::trainable(Tensor<float, 1>{1});
    test::give_gradient(w, Tensor<float, 2>{{1, 2, 3}, {4, 5, 6}});
    test::give_gradient(b, Tensor<float, 1>{1});
    optim::Adafactor optimizer({{"w", w}, {"b", b}});
    optimizer.step();
    const StateDict state = optimizer.state_dict();
    CHECK(state["state.w.exp_avg_sq_row"].shape_text() == "[2]");
    CHECK(state["state.w.exp_avg_sq_col"].shape_text() == "[3]");
    CHECK(state.find("state.w.exp_avg_sq") == nullptr);
    CHECK(state["state.b.exp_avg_sq"].shape_text() == "[1]");
}

TEST_CASE_TEMPLATE("optimizers: state saved and loaded continues bit for bit", O, optim::RMSprop, optim::Adagrad,
                   optim::Adadelta, optim::Adamax, optim::NAdam, optim::RAdam, optim::Lion, optim::LAMB,
                   optim::Adafactor) {
    const auto run = [](bool interrupted) {
        const AnyTensor p = test::trainable(test::wave<float>(Shape{6, 11}));
        O first({{"layer.p", p}});
        O second({{"layer.p", p}}, {.learning_rate = 0.7});
        for (int i = 0; i < 8; ++i) {
            if (interrupted && i == 4) {
                StateDict saved;  // a copy, as a file would hold
                for (const auto& [name, tensor] : first.state_dict()) {
                    AnyTensor copy = AnyTensor::zeros(tensor.dtype(), tensor.shape());
                    copy.assign(tensor);
                    saved.insert(name, copy);
                }
                second.load_state_dict(saved);
            }
            test::give_gradient(p, test::wave<float>(Shape{6, 11}, i + 1));
            (interrupted && i >= 4 ? second : first).step();
        }
        return p.as<float, 2>().clone();
    };
    CHECK(test::bitwise_equal(run(false), run(true)));
}

TEST_CASE("optimizers: errors of the less usual ones") {
    const AnyTensor p = test::trainable(Tensor<float, 1>{1});
    const auto what = [&](auto f) { return test::message_of<ValueError>(f); };
    CHECK(what([&] { optim::Lion({{"p", p}}, {.beta1 = 1}); }) == "Lion: beta1 must lie in [0, 1) but is 1");
    CHECK(what([&] { optim::Adadelta({{"p", p}}, {.rho = 1.5}); }) == "Adadelta: rho must lie in [0, 1] but is 1.5");
    CHECK(what([&] {
              optim::Adagrad({{"p", p}}, {.learning_rate_decay = -1});
          }) == "Adagrad: learning_rate_decay must not be negative but is -1");
    CHECK(what([&] {
              optim::Adafactor({{"p", p}}, {.clip_threshold = 0});
          }) == "Adafactor: clip_threshold must be positive but is 0");
    CHECK(what([&] {
              optim::Adafactor({{"p", p}}, {.decay_rate = 0.8});
          }) == "Adafactor: decay_rate must not be positive but is 0.8");
}
