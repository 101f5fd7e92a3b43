# SPDX-License-Identifier: Apache-2.0
# Take the first C listing out of the README: at most 20 lines.
#   cmake -D README=... -D OUTPUT=... -P readme.cmake
cmake_policy(VERSION 3.25)
file(READ ${README} text)
string(FIND "${text}" "```c\n" begin)
string(SUBSTRING "${text}" ${begin} -1 text)
string(SUBSTRING "${text}" 5 -1 text)
string(FIND "${text}" "```" end)
string(SUBSTRING "${text}" 0 ${end} text)
string(REGEX MATCHALL "\n" lines "${text}")
list(LENGTH lines count)
if(count LESS 5 OR count GREATER 20)
    message(FATAL_ERROR "the example in ${README} has ${count} lines")
endif()
file(WRITE ${OUTPUT} "${text}")
