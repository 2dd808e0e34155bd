#pragma once
// One process' parameters and buffers for all of them. Needs an MPI (Debian: libopenmpi-dev).
#include <lamina/distributed/session.hpp>
#include <lamina/nn/module.hpp>

namespace lamina::inline LAMINA_ABI::distributed {

/// Gives every process the elements that `root` has in these tensors. Throws ValueError for a root that is not there
/// and CommunicationError when the processes' tensors differ in number or size.
inline void broadcast(const Session& world, std::vector<NamedTensor> tensors, int root = 0) {
    require<ValueError>(root >= 0 && root < world.size(), "broadcast: root must lie in [0, ", world.size() - 1,
                        "] but is ", root);
    Index bytes = 0;
    for (const NamedTensor& t : tensors) bytes += Index(t.tensor.bytes());
    const Index mine[] = {Index(tensors.size()), -Index(tensors.size()), bytes, -bytes};
    Index most[4] = {};
    check(MPI_Allreduce(mine, most, 4, MPI_INT64_T, MPI_MAX, world.communicator()), "MPI_Allreduce");
    require<CommunicationError>(most[0] == -most[1] && most[2] == -most[3],
                                "broadcast: all processes must have the same tensors but have ", -most[1], " to ",
                                most[0], " of ", -most[3], " to ", most[2], " bytes together");
    constexpr std::size_t piece = std::size_t(1) << 30;  // MPI counts in int
    for (NamedTensor& t : tensors) {
        std::byte* const data = t.tensor.mutable_data();
        for (std::size_t at = 0, end = t.tensor.bytes(); at < end; at += piece)
            check(MPI_Bcast(data + at, int(std::min(piece, end - at)), MPI_BYTE, root, world.communicator()),
                  "MPI_Bcast");
    }
}

/// Gives every process the parameters and buffers that `module` has on `root`: after initialisation or loading, and,
/// for running statistics, which each process gathers from its own samples, before evaluation.
template <nn::Module M>
void broadcast(const Session& world, M& module, int root = 0) {
    std::vector<NamedTensor> tensors;
    nn::for_each_tensor(module, [&](const std::string& name, auto& tensor) {
        require<ValueError>(tensor.is_contiguous(), "broadcast: ", name, " must be contiguous (shape ", tensor.shape(),
                            ")");
        tensors.push_back({name, AnyTensor(tensor)});
    });
    broadcast(world, std::move(tensors), root);
}

}  // namespace lamina::inline LAMINA_ABI::distributed
