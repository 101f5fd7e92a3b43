# SPDX-License-Identifier: Apache-2.0
# Write a program that prints the size of every public struct, where its fields lie, and the value of every public constant. All of
# them are taken from the headers, so that none can be forgotten.
#   cmake -D HEADERS=folder -D OUTPUT=layout.c -P layout.cmake
cmake_policy(VERSION 3.25)
file(GLOB headers ${HEADERS}/cano/*.h)
set(includes "")
set(lines "")
foreach(header ${headers})
    cmake_path(GET header FILENAME name)
    string(APPEND includes "#include <cano/${name}>\n")
    file(READ ${header} text)
    string(REGEX REPLACE "/\\*[^*]*\\*+([^/*][^*]*\\*+)*/" "" text "${text}")
    string(REGEX REPLACE "\\[[^]]*\\]" "" text "${text}")
    string(REPLACE ";" "," text "${text}") # CMake's own separator
    string(REGEX MATCHALL "typedef struct [a-z_]+ {[^}]*}" structs "${text}")
    foreach(struct ${structs})
        string(REGEX MATCH "^typedef struct ([a-z_]+)" matched "${struct}")
        set(struct_name ${CMAKE_MATCH_1})
        string(APPEND lines "    STRUCT(${struct_name});\n")
        string(REGEX MATCHALL "[a-z_0-9]+," fields "${struct}")
        foreach(field ${fields})
            string(REPLACE "," "" field ${field})
            string(APPEND lines "    FIELD(${struct_name}, ${field});\n")
        endforeach()
    endforeach()
    string(REGEX MATCHALL "CANO_[A-Z_0-9]+ = " constants "${text}")
    foreach(constant ${constants})
        string(REPLACE " = " "" constant "${constant}")
        string(APPEND lines "    CONSTANT(${constant});\n")
    endforeach()
endforeach()
file(WRITE ${OUTPUT} "/* SPDX-License-Identifier: Apache-2.0 */
/* Made by layout.cmake from the headers. */
${includes}#include <stdalign.h>
#include <stdio.h>

#define STRUCT(type) printf(\"struct %s size %u alignment %u\\n\", #type, (unsigned)sizeof(type), (unsigned)alignof(type))
#define FIELD(type, field) \\
    printf(\"field %s.%s at %u size %u\\n\", #type, #field, (unsigned)offsetof(type, field), (unsigned)sizeof(((type *)0)->field))
#define CONSTANT(name) printf(\"constant %s %lld\\n\", #name, (long long)(name))

int main(void)
{
${lines}    return 0;
}
")
