#pragma once
// All normalisations.
#include <lamina/ops/batch_norm.hpp>
#include <lamina/ops/group_norm.hpp>
#include <lamina/ops/layer_norm.hpp>
