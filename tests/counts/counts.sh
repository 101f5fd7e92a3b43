#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build the library and counts.c for release, run it under callgrind, and compare instructions and atomics per operation with
# the table of this compiler and processor, within 3 %.
#
#   counts.sh [--update] ROOT WORK GENERATOR CC      --update: write the table
set -eu
tolerance=3
update=
if [ "$1" = --update ]; then
    update=$1
    shift
fi
root=$1 work=$2 generator=$3 cc=$4
mkdir -p "$work"

if ! command -v valgrind >/dev/null 2>&1; then
    echo "counts: not compared: no valgrind here"
    exit 0
fi
cmake -S "$root" -B "$work" -G "$generator" -D CMAKE_C_COMPILER="$cc" -D CMAKE_BUILD_TYPE=Release -D CANO_BUILD_EXAMPLES=OFF \
    -D CANO_BUILD_TESTS=ON >"$work/log" 2>&1 && cmake --build "$work" --target counts >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

# LD_BIND_NOW: functions are looked up before counting begins. The string functions shall not be chosen by the processor.
LD_BIND_NOW=1 GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX512F,-ERMS,-FSRM valgrind --tool=callgrind --collect-bus=yes \
    --collect-atstart=no '--toggle-collect=count_*' --compress-strings=no --compress-pos=no \
    --callgrind-out-file="$work/callgrind.out" "$work/tests/counts/counts" >"$work/said" 2>"$work/log" ||
    { cat "$work/said" "$work/log"; exit 1; }

# A called function is "cfn=NAME", "calls=N LINE", "LINE INSTRUCTIONS ATOMICS", once for each place it is called from.
{
    cat "$work/said" "$work/callgrind.out"
} | awk '/^operations: / { operations = $2 }
    /^cfn=/ { name = sub(/^cfn=count_/, "") ? $0 : "" }
    name != "" && /^[0-9]/ { instructions[name] += $2; atomics[name] += $3; name = "" }
    END { for (name in instructions) printf "%-16s %8.1f %6.2f\n", name, instructions[name] / operations, atomics[name] / operations }' |
    LC_ALL=C sort >"$work/table"

brand=gcc
if "$cc" --version | grep -q clang; then
    brand=clang
fi
machine=$("$cc" -dumpmachine)
file=$root/tests/counts/$brand-$("$cc" -dumpversion | sed 's/[.].*//')-${machine%%-*}.txt
if [ -n "$update" ]; then
    { echo "# operation, instructions, atomics (locked instructions); counts.sh compares within $tolerance %"; cat "$work/table"; } >"$file"
    echo "written: $file"
    cat "$work/table"
    exit 0
fi
if [ ! -f "$file" ]; then
    cat "$work/table"
    echo "counts: not compared: there is no $file; counts.sh --update makes it"
    exit 0
fi

awk -v tolerance="$tolerance" 'function off(is, was) { return is > was * (1 + tolerance / 100) || is < was * (1 - tolerance / 100) }
    /^#/ { next }
    FNR == NR { instructions[$1] = $2; atomics[$1] = $3; next }
    { bad = !($1 in instructions) || off($2, instructions[$1]) || off($3, atomics[$1])
      printf "%-16s %8.1f (%8.1f) %6.2f (%6.2f)%s\n", $1, $2, instructions[$1], $3, atomics[$1], bad ? "  differs" : ""
      failed = failed || bad
      delete instructions[$1] }
    END { for (name in instructions) { print name " was not counted"; failed = 1 }
          exit failed }' "$file" "$work/table" || {
    echo "counts: more than $tolerance % from the table. Better, or worse for a reason: counts.sh --update, and say why"
    exit 1
}
