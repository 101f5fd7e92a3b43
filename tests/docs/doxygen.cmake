# SPDX-License-Identifier: Apache-2.0
# Every public symbol has a comment, and doxygen notices one that has none.
#   cmake -D DOXYGEN=... -D ROOT=... -D WORK=... -P doxygen.cmake
cmake_policy(VERSION 3.25)
function(doxygen input)
    file(MAKE_DIRECTORY ${WORK})
    file(READ ${ROOT}/docs/Doxyfile settings)
    string(APPEND settings "\nINPUT = ${input}\nOUTPUT_DIRECTORY = ${WORK}\n")
    file(WRITE ${WORK}/Doxyfile "${settings}")
    execute_process(COMMAND ${DOXYGEN} ${WORK}/Doxyfile WORKING_DIRECTORY ${ROOT}
        RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    set(result ${result} PARENT_SCOPE)
    set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
doxygen(${ROOT}/include/cano)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "doxygen: ${result}\n${output}")
endif()
file(WRITE ${WORK}/bare/bare.h "/** @file bare.h */\nint cano_bare(void);\n")
doxygen(${WORK}/bare)
if(result EQUAL 0 OR NOT output MATCHES "cano_bare.* is not documented")
    message(FATAL_ERROR "a function without a comment passed: ${result}\n${output}")
endif()
