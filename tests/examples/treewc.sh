#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# treewc beside wc, on a tree with everything awkward in it: alone, with workers, with workers that are killed, by name.
#   sh treewc.sh [--tame] CHAOS-MILLISECONDS PROGRAM...
# --tame: for programs of Windows, only what there can be in a tree there, and no signals.
set -u
tame=
if [ "$1" = --tame ]; then
    tame=yes
    shift
fi
chaos=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
name=treewc-test-$$
failures=0
export LC_ALL=C
[ -z "$tame" ] || set -- env LC_ALL=C.UTF-8 "$@" # Wine reads names by it

failed()
{
    echo "FAILED: $*"
    sed 's/^/    /' "$work/out" "$work/err"
    failures=$((failures + 1))
}

make_tree()
{
    mkdir -p "$tree/many" "$tree/a dir/with spaces" "$tree/-j" "$tree/ünïcode"
    cd "$tree" || exit 2
    : >empty
    printf 'no final newline' >no_newline
    printf '\n\n\n' >newlines
    printf 'one\r\ntwo\r\n' >crlf
    printf ' \t\v\f\r ' >white
    awk 'BEGIN { for (i = 0; i < 256; i++) printf "%c", i }' >bytes
    head -c 300001 /dev/urandom >noise
    printf 'a\0b c\377d\n' >zero
    printf 'spaces\n' >"a dir/with spaces/in its name"
    printf 'dash\n' >-j/--plain
    printf 'x y\n' >ünïcode/ñ
    awk 'BEGIN { for (i = 0; i < 200000; i++) print "line", i, "of a file" }' >large
    awk -v files="$([ "$tame" ] && echo 1500 || echo 3000)" 'BEGIN {
        for (f = 0; f < files; f++) { for (i = 0; i <= f % 50; i++) print f, i >"many/" f; close("many/" f) } }'
    [ -z "$tame" ] || return 0
    printf 'newline\n' >"a
name"
    ln -s large link
    ln -s .. loop
    ln -s nowhere dangling
    mkfifo fifo
}

# A file and a directory that cannot be read, not even by root: their paths are too long.
make_too_deep()
{
    long=$(awk 'BEGIN { while (i++ < 200) printf "d" }')
    file=$(awk 'BEGIN { while (i++ < 200) printf "f" }')
    mkdir "$tree/deep" && cd "$tree/deep" || exit 2
    for level in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do
        mkdir "$long" && cd -P "$long" || exit 2
        echo "$level" >"$file"
    done
    cd /
}

# Every file's bytes, a line end after each but the many (they have one), so that no word goes on in the next file.
apart()
{
    find "$tree" -type f -path "$tree/many/*" -exec cat {} +
    find "$tree" -type f ! -path "$tree/many/*" -exec sh -c 'for file; do cat "$file"; echo; done' sh {} +
}

# Words: every byte that is not white space becomes an x, so that no locale has a say.
expected()
{
    lines_and_bytes=$(find "$tree" -type f -exec cat {} + 2>/dev/null | wc -lc)
    words=$(apart 2>/dev/null | tr '\t\n\v\f\r' '     ' | tr -c ' ' x | wc -w)
    echo "$lines_and_bytes $words" | awk '{ print $1, $3, $2, "total" }'
}

# counts STATUS TOTAL ARGUMENTS...: the exit status and the last line are these
counts()
{
    status=$1
    total=$2
    shift 2
    "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ $got -eq "$status" ] && [ "$(tail -n 1 "$work/out" | tr -d '\r')" = "$total" ] || failed "$*: exit status $got, expected '$total'"
}

make_tree
total=$(expected)
cd "$work" || exit 2
counts 0 "$total" "$@" --plain tree
counts 0 "$total" "$@" -j1 tree/
counts 0 "$total" "$@" -j 4 "$tree"
counts 0 "$total" "$@" "--chaos=$chaos" tree
kills=$(awk '/workers were killed/ { print $2 }' "$work/err")
[ "${kills:-0}" -gt 0 ] || failed "no worker was killed"
echo "$kills workers were killed, $(awk '/workers were killed/ { print $6 }' "$work/err") results came twice"

# By name, twice: it leaves no name behind. A helper from elsewhere joins in, and ends with the work.
counts 0 "$total" "$@" --queue "$name" tree
"$@" --queue "$name" "--chaos=$chaos" tree >"$work/out" 2>"$work/err" &
while kill -0 $! 2>/dev/null; do
    "$@" --worker --queue "$name" 2>/dev/null || true # not there yet, or not any more
done
wait $!
[ "$(tail -n 1 "$work/out" | tr -d '\r')" = "$total" ] || failed "with a helper"

# Killed at some moment, it leaves nobody behind: cat ends when the last worker has let go of the pipe.
for moment in $([ "$tame" ] || echo 0.01 0.05 0.1); do
    { "$@" -j2 tree 2>&1 >/dev/null & sleep $moment; kill -9 $!; } 2>/dev/null | cat >/dev/null
done

counts 2 "" "$@" nowhere
counts 2 "" "$@" tree/large
counts 2 "" "$@" --nonsense tree
counts 2 "" "$@" -j0 tree
counts 2 "" "$@" --chaos=x tree
counts 2 "" "$@" --queue
counts 2 "" "$@" --queue a/b tree
mkdir nothing
counts 0 "0 0 0 total" "$@" nothing

if [ -z "$tame" ]; then
    make_too_deep
    cd "$work" || exit 2
    total=$(expected)
    counts 1 "$total" "$@" --plain tree
    skipped=$(grep 'could not be read' "$work/err")
    counts 1 "$total" "$@" "--chaos=$chaos" tree
    [ -n "$skipped" ] && grep -q "$skipped" "$work/err" || failed "expected '$skipped'"
fi

[ $failures -eq 0 ] && echo "every total is wc's: $total"
exit $failures
