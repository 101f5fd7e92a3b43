# SPDX-License-Identifier: Apache-2.0
# Compare what the library exports, and how the public structs lie in memory, with abi.txt, which belongs to one version.
#   cmake -D ABI=abi.txt -D VERSION=... -D CHANGELOG=... -D NM="nm;-D" -D LIBRARY=... [-D WRITE=ON] -P compare.cmake -- LAYOUT
# LAYOUT is the program made by layout.cmake, as a command. WRITE: write abi.txt anew, where the version allows it.
cmake_policy(VERSION 3.25)
set(layout "")
set(rest FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(index RANGE ${last})
    if(rest)
        list(APPEND layout "${CMAKE_ARGV${index}}")
    elseif("${CMAKE_ARGV${index}}" STREQUAL "--")
        set(rest TRUE)
    endif()
endforeach()

function(lines_of result)
    execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE code)
    if(NOT code EQUAL 0)
        message(FATAL_ERROR "${ARGN}: ${code}\n${errors}")
    endif()
    string(REGEX REPLACE "\r?\n" ";" output "${output}")
    set(${result} "${output}" PARENT_SCOPE)
endfunction()

# What a linker sees; an import library (of Windows) says functions only as T.
lines_of(symbols ${NM} ${LIBRARY})
if(LIBRARY MATCHES "\\.dll\\.a$")
    list(FILTER symbols INCLUDE REGEX " T ")
endif()
list(FILTER symbols EXCLUDE REGEX " A |^$") # A: the name of a version
list(TRANSFORM symbols REPLACE "^.* " "")
set(foreign ${symbols})
list(FILTER foreign EXCLUDE REGEX "^cano_[a-z_0-9]+$")
if(foreign OR NOT symbols)
    message(FATAL_ERROR "the library exports nothing, or what is not called cano_: ${foreign}")
endif()
list(TRANSFORM symbols PREPEND "symbol ")

lines_of(found ${layout})
list(FILTER found INCLUDE REGEX "^(struct|field|constant) ")
list(APPEND found ${symbols})
list(REMOVE_DUPLICATES found)
list(SORT found)

set(kept_version "")
set(kept "")
if(EXISTS ${ABI})
    file(STRINGS ${ABI} kept)
    list(POP_FRONT kept first)
    string(REGEX REPLACE "^cano " "" kept_version "${first}")
endif()
set(lost ${kept})
set(new ${found})
list(REMOVE_ITEM lost ${found})
list(REMOVE_ITEM new ${kept} "")
list(JOIN lost "\n  " lost_text)
list(JOIN new "\n  " new_text)

# A version that the changelog names has left the house: what it promised stays. Before 1.0 its minor number is the promise.
file(STRINGS ${CHANGELOG} released REGEX "^## \\[${kept_version}\\]")
string(REGEX MATCH "^[0-9]+\\.[0-9]+" minor "${VERSION}")
string(REGEX MATCH "^[0-9]+\\.[0-9]+" kept_minor "${kept_version}")
if(WRITE)
    if(released AND (lost OR new) AND VERSION STREQUAL kept_version)
        message(FATAL_ERROR "version ${VERSION} is released; a changed interface needs another, in CMakeLists.txt and cano.h")
    elseif(released AND lost AND minor STREQUAL kept_minor)
        message(FATAL_ERROR "${kept_version} is released, and not all of it is there any more; this needs another minor number:\n"
            "  ${lost_text}")
    endif()
    list(JOIN found "\n" text)
    file(WRITE ${ABI} "cano ${VERSION}\n${text}\n")
    message("${ABI} belongs to version ${VERSION} now")
elseif(lost OR new OR NOT VERSION STREQUAL kept_version)
    message(FATAL_ERROR "the binary interface is not the one of abi.txt (version ${kept_version}; this is ${VERSION})\n"
        "gone or changed:\n  ${lost_text}\nnew or changed:\n  ${new_text}\n"
        "A program that was linked before would not work with it, or it is not known that it does. If ${kept_version} is released, "
        "give cano a new version first, in CMakeLists.txt and cano.h. Then build the target abi_write.")
else()
    list(LENGTH symbols count)
    list(LENGTH found all)
    message("version ${VERSION}: ${count} functions, ${all} lines in all, as in abi.txt")
endif()
