# SPDX-License-Identifier: Apache-2.0
# Run a program and compare what it says with a file, line by line; exit status 0. Lines that begin with one of several names
# count as said by X, and are sorted, when UNORDERED.
#   cmake -D PROGRAM=... -D EXPECTED=... [-D UNORDERED=ON] -P says.cmake
cmake_policy(VERSION 3.25)
execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE complained)
file(READ ${EXPECTED} expected)
string(REPLACE "\r" "" said "${said}")
if(UNORDERED)
    string(REGEX REPLACE "(Ana|Bruno|Clara) " "X " said "${said}")
    string(REPLACE "\n" ";" said "${said}")
    list(FILTER said EXCLUDE REGEX "^$") # the empty piece after the last line
    list(SORT said)
    list(JOIN said "\n" said)
    string(APPEND said "\n")
endif()
if(NOT result EQUAL 0 OR NOT complained STREQUAL "" OR NOT said STREQUAL expected)
    message(FATAL_ERROR "exit status ${result}, it said:\n${said}and complained:\n${complained}")
endif()
