# What tests, examples and benchmarks share: warnings and the optional libraries that are present.
# lamina_development is lamina plus all of that; a missing library only leaves its part out.

set(CMAKE_CXX_EXTENSIONS OFF)

find_path(LAMINA_DOCTEST_INCLUDE_DIR doctest/doctest.h)
find_path(LAMINA_STB_INCLUDE_DIR stb/stb_image.h)
find_path(LAMINA_EIGEN_INCLUDE_DIR Eigen/Core PATH_SUFFIXES eigen3)

add_library(lamina_development INTERFACE)
target_link_libraries(lamina_development INTERFACE lamina)
target_compile_options(lamina_development INTERFACE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-Wall -Wextra $<$<BOOL:${LAMINA_WERROR}>:-Werror>>)
set(lamina_missing "")
foreach(library DOCTEST STB EIGEN)
    if(LAMINA_${library}_INCLUDE_DIR)
        target_include_directories(lamina_development SYSTEM INTERFACE ${LAMINA_${library}_INCLUDE_DIR})
    else()
        string(TOLOWER "${library}" library)
        list(APPEND lamina_missing ${library})
    endif()
endforeach()
if(ZLIB_FOUND)
    target_link_libraries(lamina_development INTERFACE lamina_io)
else()
    list(APPEND lamina_missing zlib)
endif()
if(lamina_missing)
    list(JOIN lamina_missing ", " lamina_missing)
    message(STATUS "lamina: tests and examples are built without ${lamina_missing}")
endif()
