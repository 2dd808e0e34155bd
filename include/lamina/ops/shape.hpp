#pragma once
/// All operations that rearrange elements.
#include <lamina/ops/concat.hpp>
#include <lamina/ops/expand.hpp>
#include <lamina/ops/flip.hpp>
#include <lamina/ops/permute.hpp>
#include <lamina/ops/reshape.hpp>
#include <lamina/ops/slice.hpp>
#include <lamina/ops/triangle.hpp>
