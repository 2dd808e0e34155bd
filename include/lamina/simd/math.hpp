#pragma once
/// All transcendental functions of lanes.
#include <lamina/simd/math/atan.hpp>
#include <lamina/simd/math/erf.hpp>
#include <lamina/simd/math/exp.hpp>
#include <lamina/simd/math/log.hpp>
#include <lamina/simd/math/logistic.hpp>
#include <lamina/simd/math/pow.hpp>
#include <lamina/simd/math/trig.hpp>
