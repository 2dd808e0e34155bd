#pragma once
/// All normalisations: batch_norm, group_norm, instance_norm, layer_norm, rms_norm.
#include <lamina/ops/batch_norm.hpp>
#include <lamina/ops/group_norm.hpp>
#include <lamina/ops/layer_norm.hpp>
