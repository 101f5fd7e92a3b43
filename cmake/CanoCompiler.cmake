# SPDX-License-Identifier: Apache-2.0
# What every target of ours is compiled with.
include(CheckCSourceCompiles)
check_c_source_compiles("int main(void) { __builtin_ia32_pause(); return 0; }" CANO_HAS_X86_PAUSE)
check_c_source_compiles("int main(void) { __asm__ volatile(\"yield\"); return 0; }" CANO_HAS_ARM_YIELD)
check_c_source_compiles("int main(void) { char line; __asm__ volatile(\"prefetchw %0\" : : \"m\"(line)); return 0; }"
    CANO_HAS_PREFETCHW)
check_c_source_compiles("int main(void) { char line; __builtin_prefetch(&line, 1); return 0; }" CANO_HAS_PREFETCH)
check_c_source_compiles("__attribute__((cold, noinline)) int main(void) { return 0; }" CANO_HAS_COLD)
check_c_source_compiles("int main(void) { return __builtin_thread_pointer() == 0; }" CANO_HAS_THREAD_POINTER)
function(cano_compile_options target)
    foreach(has X86_PAUSE ARM_YIELD PREFETCHW PREFETCH COLD THREAD_POINTER)
        target_compile_definitions(${target} PRIVATE $<$<BOOL:${CANO_HAS_${has}}>:CANO_HAS_${has}>)
    endforeach()
    set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
    if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
        target_compile_options(${target} PRIVATE $<IF:$<BOOL:${MSVC}>,-W4,-Wall> # of clang-cl, -Wall is everything
            -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion -Wvla)
        if(CMAKE_SIZEOF_VOID_P EQUAL 4) # sizes in shared memory have 64 bits, and are bounded by a mapping of ours
            target_compile_options(${target} PRIVATE -Wno-conversion)
        endif()
        if(CANO_WARNINGS_AS_ERRORS)
            target_compile_options(${target} PRIVATE -Werror)
        endif()
    endif()
    if(CANO_OS STREQUAL "posix")
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE) # memfd, OFD locks, pipe2: declared only on request
    endif()
    if(CANO_OS STREQUAL "win32") # Windows 7, newer calls are looked up; C11, not the functions that only Microsoft has
        target_compile_definitions(${target} PRIVATE _WIN32_WINNT=0x0601 WIN32_LEAN_AND_MEAN NOMINMAX _CRT_SECURE_NO_WARNINGS)
    endif()
    if(CANO_SANITIZE)
        target_compile_options(${target} PRIVATE -fsanitize=${CANO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
        target_link_options(${target} PRIVATE -fsanitize=${CANO_SANITIZE})
        if(CANO_SANITIZE MATCHES "thread")
            target_compile_definitions(${target} PRIVATE CANO_THREAD_SANITIZER) # see ring.h
            if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # it does not see fences: no data of ours is handed over by one
                target_compile_options(${target} PRIVATE -Wno-tsan)
            endif()
        endif()
    endif()
endfunction()
