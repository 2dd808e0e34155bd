#include "work.hpp"

std::string compute_v4(double* out) { return compute(out); }
