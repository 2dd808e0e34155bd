# lamina::lamina (headers, C++20, threads, xsimd); lamina::native (the same, compiled for this machine); and, where zlib
# is installed, lamina::io (the headers of io/ that inflate: gzip, npz and PNG).

foreach(package Threads ZLIB)
    set(lamina_found_before OFF)
    if(TARGET ${package}::${package})
        set(lamina_found_before ON)
    endif()
    find_package(${package} QUIET)
    # An imported target belongs to the folder that found it; the parent project links it through ours.
    if(NOT lamina_top_level AND NOT lamina_found_before AND TARGET ${package}::${package})
        set_target_properties(${package}::${package} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
endforeach()
if(NOT Threads_FOUND)
    message(FATAL_ERROR "lamina: no thread library was found")
endif()

find_path(LAMINA_XSIMD_INCLUDE_DIR xsimd/xsimd.hpp DOC "Folder that holds xsimd/xsimd.hpp")
if(NOT LAMINA_XSIMD_INCLUDE_DIR)
    message(FATAL_ERROR "lamina: xsimd/xsimd.hpp not found (Debian: libxsimd-dev; Fedora: xsimd-devel; "
                        "Arch, Homebrew, vcpkg: xsimd), or set LAMINA_XSIMD_INCLUDE_DIR")
endif()

add_library(lamina INTERFACE)
add_library(lamina::lamina ALIAS lamina)
target_compile_features(lamina INTERFACE cxx_std_20)
target_include_directories(lamina INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_include_directories(lamina SYSTEM INTERFACE $<BUILD_INTERFACE:${LAMINA_XSIMD_INCLUDE_DIR}>)
target_link_libraries(lamina INTERFACE Threads::Threads)

add_library(lamina_native INTERFACE)
add_library(lamina::native ALIAS lamina_native)
set_target_properties(lamina_native PROPERTIES EXPORT_NAME native)
target_compile_options(lamina_native INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-march=native>)
target_link_libraries(lamina_native INTERFACE lamina)

if(ZLIB_FOUND)
    add_library(lamina_io INTERFACE)
    add_library(lamina::io ALIAS lamina_io)
    target_link_libraries(lamina_io INTERFACE lamina ZLIB::ZLIB)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT CMAKE_CXX_FLAGS MATCHES "-m(arch|avx|cpu)")
    message(STATUS "lamina ${PROJECT_VERSION}: no -march flag, and x86-64 by default means SSE2 lanes, a fraction of this "
                   "machine's speed; link lamina::native (-march=native) or add -march=x86-64-v3 or -v4")
endif()
