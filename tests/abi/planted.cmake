# SPDX-License-Identifier: Apache-2.0
# The comparison must find: a symbol gone, a symbol that is new, a field that moved, another version. And it must not write over
# what was released. Arguments as of compare.cmake, and WORK, a folder.
cmake_policy(VERSION 3.25)
set(tail "")
math(EXPR last "${CMAKE_ARGC} - 1")
set(rest FALSE)
foreach(index RANGE ${last})
    if(rest OR "${CMAKE_ARGV${index}}" STREQUAL "--")
        set(rest TRUE)
        list(APPEND tail "${CMAKE_ARGV${index}}")
    endif()
endforeach()

function(compare result)
    execute_process(COMMAND ${CMAKE_COMMAND} -D ABI=${WORK}/abi.txt -D VERSION=${VERSION} -D CHANGELOG=${WORK}/changelog.md -D "NM=${NM}"
        -D LIBRARY=${LIBRARY} ${ARGN} -P ${CMAKE_CURRENT_LIST_DIR}/compare.cmake ${tail}
        RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
    set(${result} ${code} PARENT_SCOPE)
    set(output "${output}" PARENT_SCOPE)
endfunction()

# plant(NAME REGEX REPLACEMENT [-D WRITE=ON]): abi.txt with a mistake must be refused.
function(plant name regex replacement)
    file(READ ${ABI} text)
    string(REGEX REPLACE "${regex}" "${replacement}" planted "${text}")
    if(planted STREQUAL text)
        message(FATAL_ERROR "${name}: nothing was planted")
    endif()
    file(WRITE ${WORK}/abi.txt "${planted}")
    compare(code ${ARGN})
    if(code EQUAL 0)
        message(FATAL_ERROR "${name} was not found:\n${output}")
    endif()
    message("found: ${name}")
endfunction()

file(WRITE ${WORK}/changelog.md "## [Unreleased]\n")
plant("a symbol that is new" "symbol cano_version\n" "")
plant("a symbol that is gone" "symbol cano_version\n" "symbol cano_version\nsymbol cano_zero\n")
plant("a field that moved" "field cano_item.size at 8" "field cano_item.size at 12")
plant("a constant with another value" "constant CANO_EKIND 17" "constant CANO_EKIND 18")
plant("another version" "^cano [0-9.]+" "cano 99.0.0")

file(WRITE ${WORK}/abi.txt "cano ${VERSION}\n")
compare(code -D WRITE=ON)
compare(again)
if(NOT code EQUAL 0 OR NOT again EQUAL 0)
    message(FATAL_ERROR "what was not released cannot be written anew:\n${output}")
endif()
file(WRITE ${WORK}/changelog.md "## [${VERSION}] - 2026-01-01\n")
plant("a change of what is released" "symbol cano_version\n" "" -D WRITE=ON)
