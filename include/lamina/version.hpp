#pragma once
/// The library's version, read by the build files and by core/abi.hpp.
#define LAMINA_VERSION_MAJOR 0
#define LAMINA_VERSION_MINOR 1
#define LAMINA_VERSION_PATCH 0
