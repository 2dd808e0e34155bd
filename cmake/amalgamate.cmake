# cmake -DINCLUDE=<folder> -DOUTPUT=<file> [-DROOT=lamina/lamina.hpp] -P amalgamate.cmake
# Replaces each `#include <lamina/…>` by that header's text at its first mention and by nothing afterwards.
# Text is kept in one string and never passed through a list, because C++ is full of semicolons.
cmake_minimum_required(VERSION 3.16)

if(NOT ROOT)
    set(ROOT lamina/lamina.hpp)
endif()

function(emit text)
    set_property(GLOBAL APPEND_STRING PROPERTY single_header "${text}")
endfunction()

function(append_header name)
    get_property(seen GLOBAL PROPERTY "seen ${name}")
    if(seen)
        return()
    endif()
    set_property(GLOBAL PROPERTY "seen ${name}" TRUE)

    file(READ "${INCLUDE}/${name}" rest)
    string(REPLACE "#pragma once\n" "" rest "${rest}")
    while(TRUE)
        string(FIND "${rest}" "#include <lamina/" at)
        if(at EQUAL -1)
            break()
        endif()
        string(SUBSTRING "${rest}" 0 ${at} before)
        string(SUBSTRING "${rest}" ${at} -1 rest)
        string(FIND "${rest}" ">" close)
        math(EXPR length "${close} - 10")
        string(SUBSTRING "${rest}" 10 ${length} included)
        math(EXPR after "${close} + 2")
        string(SUBSTRING "${rest}" ${after} -1 rest)
        emit("${before}")
        append_header("${included}")
    endwhile()
    emit("${rest}")
endfunction()

file(STRINGS "${INCLUDE}/lamina/version.hpp" version_lines REGEX "^#define LAMINA_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX MATCHALL "[0-9]+" version "${version_lines}")
list(JOIN version "." version)
emit("#pragma once\n// lamina ${version} as a single header. Needs C++20, xsimd and threads. MIT License, the lamina authors.\n")
append_header("${ROOT}")

get_property(text GLOBAL PROPERTY single_header)
file(WRITE "${OUTPUT}" "${text}")
