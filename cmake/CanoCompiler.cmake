# SPDX-License-Identifier: Apache-2.0
# What every target of ours is compiled with.
function(cano_compile_options target)
    set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
    if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
        target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
            -Wconversion -Wno-sign-conversion -Wvla)
        if(CANO_WARNINGS_AS_ERRORS)
            target_compile_options(${target} PRIVATE -Werror)
        endif()
    endif()
    if(CANO_OS STREQUAL "posix")
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE) # memfd, OFD locks, pipe2: declared only on request
    endif()
    if(CANO_SANITIZE)
        target_compile_options(${target} PRIVATE -fsanitize=${CANO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
        target_link_options(${target} PRIVATE -fsanitize=${CANO_SANITIZE})
    endif()
endfunction()
