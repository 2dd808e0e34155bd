#include "work.hpp"

std::string compute_v3(double* out) { return compute(out); }
