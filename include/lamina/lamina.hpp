#pragma once
// The whole library; without the headers, if any, that need more than xsimd:
/// Including one header per feature instead compiles faster; the folders are listed bottom up.
#include <lamina/version.hpp>

#include <lamina/core/abi.hpp>
#include <lamina/core/any_tensor.hpp>
#include <lamina/core/build_info.hpp>
#include <lamina/core/create.hpp>
#include <lamina/core/dtype.hpp>
#include <lamina/core/error.hpp>
#include <lamina/core/grad_link.hpp>
#include <lamina/core/index.hpp>
#include <lamina/core/memory.hpp>
#include <lamina/core/print.hpp>
#include <lamina/core/ref.hpp>
#include <lamina/core/shape.hpp>
#include <lamina/core/storage.hpp>
#include <lamina/core/tensor.hpp>
#include <lamina/core/view.hpp>

#include <lamina/simd/arch.hpp>
#include <lamina/simd/load_store.hpp>
#include <lamina/simd/mask.hpp>
#include <lamina/simd/raw.hpp>
#include <lamina/simd/reduce.hpp>
#include <lamina/simd/row.hpp>
#include <lamina/simd/unroll.hpp>
#include <lamina/simd/vec.hpp>

#include <lamina/parallel/for.hpp>
#include <lamina/parallel/pool.hpp>
#include <lamina/parallel/reduce.hpp>
#include <lamina/parallel/scratch.hpp>
#include <lamina/parallel/system.hpp>

#include <lamina/kernels/copy.hpp>
#include <lamina/kernels/layout.hpp>

#include <lamina/autograd/checkpoint.hpp>
#include <lamina/autograd/gradcheck.hpp>
#include <lamina/autograd/parameter.hpp>
#include <lamina/autograd/saved.hpp>
#include <lamina/autograd/slot.hpp>
#include <lamina/autograd/tape.hpp>

#include <lamina/ops/axes.hpp>
#include <lamina/ops/contiguous.hpp>
#include <lamina/ops/reshape.hpp>

#include <lamina/nn/module.hpp>

#include <lamina/io/atomic_file.hpp>
#include <lamina/io/json.hpp>
#include <lamina/io/mapped_file.hpp>
#include <lamina/io/safetensors.hpp>
