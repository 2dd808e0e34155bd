#include "work.hpp"

std::string compute_base(double* out) { return compute(out); }
