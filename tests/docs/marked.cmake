# SPDX-License-Identifier: Apache-2.0
# No C in the pages goes untried: above each ```c stands "<!-- program: NAME [NEED] -->" (compiled and run) or
# "<!-- part: NAME [NEED] -->" (compiled).
#   cmake -D PAGES=... -P marked.cmake
cmake_policy(VERSION 3.25)
foreach(page ${PAGES})
    file(READ ${page} text)
    string(REGEX MATCHALL "\n\`\`\`c\n" listings "${text}")
    string(REGEX MATCHALL "\n<!-- (program|part): [a-z_]+( [a-z.]+)? -->\n\`\`\`c\n" marked "${text}")
    list(LENGTH listings count)
    list(LENGTH marked tried)
    if(NOT count EQUAL tried)
        message(FATAL_ERROR "${page}: ${count} listings of C, ${tried} of them marked as program or part")
    endif()
    message("${page}: ${count} listings of C")
endforeach()
