# SPDX-License-Identifier: Apache-2.0
# A listing of a page: what stands between the fences below a line that marks it.
#   cmake -D PAGE=... -D MARK=... -D OUTPUT=... -P listing.cmake     or include it, with no OUTPUT
cmake_policy(VERSION 3.25)
function(listing page mark result)
    file(READ ${page} text)
    string(REPLACE "\r" "" text "${text}")
    string(FIND "${text}" "\n<!-- ${mark} -->\n\`\`\`" begin)
    if(begin EQUAL -1)
        message(FATAL_ERROR "${page} has no listing '${mark}'")
    endif()
    string(LENGTH "\n<!-- ${mark} -->\n" length)
    math(EXPR begin "${begin} + ${length}")
    string(SUBSTRING "${text}" ${begin} -1 text)
    string(FIND "${text}" "\n" begin) # the end of the opening fence
    math(EXPR begin "${begin} + 1")
    string(SUBSTRING "${text}" ${begin} -1 text)
    string(FIND "${text}" "\n\`\`\`\n" end)
    math(EXPR end "${end} + 1")
    string(SUBSTRING "${text}" 0 ${end} text)
    set(${result} "${text}" PARENT_SCOPE)
endfunction()

if(DEFINED OUTPUT)
    listing(${PAGE} "${MARK}" text)
    file(WRITE ${OUTPUT} "${text}")
endif()
