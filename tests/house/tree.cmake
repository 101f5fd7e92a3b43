# SPDX-License-Identifier: Apache-2.0
# The rules that the files of the house keep.
#   cmake -D ROOT=... -P tree.cmake
cmake_policy(VERSION 3.25)
set(failed FALSE)
macro(broken text)
    message("${text}")
    set(failed TRUE)
endmacro()

file(GLOB_RECURSE sources RELATIVE ${ROOT} ${ROOT}/include/*.[ch] ${ROOT}/src/*.[ch] ${ROOT}/tests/*.[ch] ${ROOT}/examples/*.[ch]
    ${ROOT}/tools/*.[ch] ${ROOT}/bench/*.[ch])
file(GLOB_RECURSE others RELATIVE ${ROOT} ${ROOT}/cmake/*.cmake* ${ROOT}/tests/*.cmake ${ROOT}/tests/*.sh ${ROOT}/scripts/*
    ${ROOT}/*/CMakeLists.txt)
list(FILTER others EXCLUDE REGEX "^build")
list(APPEND others CMakeLists.txt .ci/run .clang-format)

# Every file says its licence, in its first line, or in its second after #!.
foreach(file ${sources} ${others})
    file(READ ${ROOT}/${file} head LIMIT 120)
    if(NOT head MATCHES "^(#![^\n]*\n)?(# |/\\* )SPDX-License-Identifier: Apache-2\\.0")
        broken("${file}: no SPDX line")
    endif()
endforeach()

# Portable code tests results, never platforms.
string(CONCAT platform "(^|[^A-Za-z0-9_])(_WIN32|_WIN64|_MSC_VER|__MINGW[0-9]*__|__CYGWIN__|__linux__|__linux|__gnu_linux__|"
    "__ANDROID__|__APPLE__|__MACH__|__FreeBSD__|__NetBSD__|__OpenBSD__|__DragonFly__|__unix__|__unix|__sun|_AIX|__wasi__)")
set(portable ${sources})
list(FILTER portable EXCLUDE REGEX "^(src|tools)/(posix|win32)/|^include/cano/export\\.h$")
foreach(file ${portable})
    file(STRINGS ${ROOT}/${file} lines REGEX "${platform}([^A-Za-z0-9_]|$)")
    if(lines)
        broken("${file}: tests a platform: ${lines}")
    endif()
endforeach()

# Portable code of the library includes standard C, APR, and itself.
string(CONCAT standard "^#include <(cano/[a-z_]+|apr_[a-z_]+|assert|ctype|errno|inttypes|limits|signal|stdalign|stdarg|stdatomic|"
    "stdbool|stddef|stdint|stdio|stdlib|string|time)\\.h>")
set(library ${portable})
list(FILTER library INCLUDE REGEX "^(src|include)/")
foreach(file ${library})
    file(STRINGS ${ROOT}/${file} lines REGEX "^#include <")
    foreach(line ${lines})
        if(NOT line MATCHES "${standard}")
            broken("${file}: ${line} is not portable")
        endif()
    endforeach()
endforeach()

# An include may only point down, to what stands earlier in this list. queue.h and pipe.h say what those two are made of when
# they are handed on; the bodies that keep that promise stand above them.
set(house mutation pause os status options deadline handles latch gate presence layout name ring geometry segment roster event
    doorbell lock arena ledger queue_memory held repair queue.h engine shared_queue shared_put shared_get shared_task
    participant shared_open shared_engine queue joinable_queue inspect pipe_layout channel channel_reader channel_writer pipe.h pipe_end pipe_memory
    pipe_stream pipe_birth pipe bundle process listener inherited wait)
function(floor_of file result)
    cmake_path(GET file FILENAME name)
    list(FIND house ${name} floor)
    if(floor EQUAL -1)
        cmake_path(GET file STEM stem)
        list(FIND house ${stem} floor)
    endif()
    set(${result} ${floor} PARENT_SCOPE)
endfunction()

set(rooms ${library})
list(FILTER rooms INCLUDE REGEX "^src/")
foreach(file ${rooms})
    floor_of(${file} floor)
    if(floor EQUAL -1)
        broken("${file}: where in the house does it stand? Add it to the list in tests/house/tree.cmake")
        continue()
    endif()
    cmake_path(GET file STEM stem)
    file(STRINGS ${ROOT}/${file} lines REGEX "^#include \"")
    foreach(line ${lines})
        string(REGEX REPLACE "^#include \"([^\"]*)\".*" "\\1" included "${line}")
        floor_of(${included} below)
        if(NOT included STREQUAL "${stem}.h" AND NOT below LESS floor)
            broken("${file}: includes ${included}, which does not stand below it")
        endif()
    endforeach()
endforeach()

# A header exists only if a second file includes it.
file(GLOB_RECURSE headers RELATIVE ${ROOT} ${ROOT}/src/*.h)
foreach(header ${headers})
    cmake_path(GET header FILENAME name)
    cmake_path(GET header STEM stem)
    set(used FALSE)
    foreach(file ${sources})
        cmake_path(GET file STEM other)
        if(NOT other STREQUAL stem)
            file(STRINGS ${ROOT}/${file} lines REGEX "^#include \"([a-z0-9_]+/)*${name}\"")
            if(lines)
                set(used TRUE)
                break()
            endif()
        endif()
    endforeach()
    if(NOT used)
        broken("${header}: no second file includes it")
    endif()
endforeach()

# Each system has the same files; variants of one thing (wait_futex, wait_poll) count as that thing. A system that is being
# built, which no target of scripts/test builds yet, may lack some.
foreach(system posix win32)
    file(GLOB files RELATIVE ${ROOT}/src/${system} ${ROOT}/src/${system}/*.c)
    list(TRANSFORM files REPLACE "^(wait|lease|bell)_[a-z]+\\.c$" "\\1.c")
    list(REMOVE_DUPLICATES files)
    list(SORT files)
    set(${system} "${files}")
endforeach()
set(only_posix ${posix})
set(only_win32 ${win32})
list(REMOVE_ITEM only_posix ${win32})
list(REMOVE_ITEM only_win32 ${posix})
if(only_win32 OR (only_posix AND EXISTS ${ROOT}/scripts/test.d/windows))
    broken("src/posix and src/win32 do not hold the same things: ${only_posix} against ${only_win32}")
endif()

# One version: CMake's, the header's, the newest in the changelog at most that.
file(STRINGS ${ROOT}/CMakeLists.txt project REGEX "^project\\(")
string(REGEX MATCH "VERSION ([0-9.]+)" matched "${project}")
set(version ${CMAKE_MATCH_1})
file(READ ${ROOT}/include/cano/cano.h header)
string(REGEX MATCH "MAJOR ([0-9]+)[^0-9]*MINOR ([0-9]+)[^0-9]*PATCH ([0-9]+)" matched "${header}")
if(NOT version STREQUAL "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3}")
    broken("CMakeLists.txt says version ${version}, cano.h ${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3}")
endif()

# The lesson stays short.
file(GLOB lessons ${ROOT}/examples/lesson_*.c)
foreach(lesson ${lessons})
    file(STRINGS ${lesson} lines NEWLINE_CONSUME)
    string(REGEX MATCHALL "\n" lines "${lines}")
    list(LENGTH lines count)
    if(count GREATER_EQUAL 60)
        broken("${lesson} has ${count} lines")
    endif()
endforeach()

list(LENGTH sources count)
list(LENGTH others more)
if(failed)
    message(FATAL_ERROR "the house is not in order")
endif()
message("${count} sources and ${more} other files are in order")
