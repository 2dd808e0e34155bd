// OpenBLAS: row-major products through CBLAS.
#include <cblas.h>
#include <omp.h>

#include "peers.hpp"

namespace peers::openblas {
namespace {

void gemm(Index m, Index n, Index k, const float* a, const float* b, float* c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(m), int(n), int(k), 1, a, int(k), b, int(n), 0, c,
                int(n));
}

void gemm(Index m, Index n, Index k, const double* a, const double* b, double* c) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(m), int(n), int(k), 1, a, int(k), b, int(n), 0, c,
                int(n));
}

int threads_now = 1;

template <class T>
Contestants products(const Product<T>& p) {
    Contestants out;
    if (p.batch == 1)
        out.push_back({"OpenBLAS", "gemm", [p] {
                           Array<T> c(p.m * p.n);
                           return Call{[=] { gemm(p.m, p.n, p.k, p.a.data(), p.b.data(), c.data()); },
                                       [=](Index i) { return double(c[i]); }};
                       }});
    if (p.batch > 1)  // it has no batched product: whole products are dealt to the threads, each run on one
        out.push_back({"OpenBLAS", "gemm per batch", [p] {
                           Array<T> c(p.batch * p.m * p.n);
                           const auto run = [=] {
                               openblas_set_num_threads(1);
#pragma omp parallel for schedule(static) num_threads(threads_now)
                               for (Index i = 0; i < p.batch; ++i)
                                   gemm(p.m, p.n, p.k, p.a.data() + i * p.m * p.k, p.b.data() + i * p.k * p.n,
                                        c.data() + i * p.m * p.n);
                               openblas_set_num_threads(threads_now);
                           };
                           return Call{run, [=](Index i) { return double(c[i]); }};
                       }});
    if constexpr (std::is_same_v<T, float>)
        if (p.m == 1 && p.batch == 1)
            out.push_back({"OpenBLAS", "gemv", [p] {
                               Array<float> c(p.n);
                               const auto run = [=] {
                                   cblas_sgemv(CblasRowMajor, CblasTrans, int(p.k), int(p.n), 1, p.b.data(), int(p.n),
                                               p.a.data(), 1, 0, c.data(), 1);
                               };
                               return Call{run, [=](Index i) { return double(c[i]); }};
                           }});
    return out;
}

}  // namespace

void set_threads(int threads) {
    threads_now = threads;
    openblas_set_num_threads(threads);
}

std::string version() {
    const std::string config = openblas_get_config();
    return config.substr(0, config.find(' ', 9)) + " " + openblas_get_corename();
}

Contestants contestants(const Product<float>& p) { return products(p); }
Contestants contestants(const Product<double>& p) { return products(p); }

}  // namespace peers::openblas
