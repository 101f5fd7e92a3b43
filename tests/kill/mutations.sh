#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The proof of the proof: plants each known bug (src/mutation.h) and runs the programs until one finds it. Every bug must be
# found, and without one all must pass.
#
#     mutations.sh FOLDER [NAME...]      FOLDER: where kill_mutant_stores and the others were built
set -u
folder=$1
shift
for program in stores sleepers liveness hooked_storm; do
    [ -x "$folder/kill_mutant_$program" ] || { echo "no kill_mutant_$program in $folder" >&2; exit 2; }
done
[ $# -gt 0 ] || set -- NONE $(KILL_MUTATION=list "$folder/kill_mutant_stores")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failures=0

# Run a program with the bug planted; true if it failed, or never came to an end.
finds()
{
    KILL_MUTATION=$mutation timeout -k 5 "$@" >"$log" 2>&1 && return 1
    what=$(grep -m 1 -E "queue, point|FAILED|stuck|^  [a-z]" "$log" | cut -c 1-100)
}

try()
{
    case $1 in
    deaths) finds 100 "$folder/kill_mutant_stores" --quick --stop --no-stalls --doubles 0 ;;
    "two deaths") finds 120 "$folder/kill_mutant_stores" --quick --stop --no-stalls --doubles 15000 ;;
    stalls) finds 200 "$folder/kill_mutant_stores" --quick --stop --no-deaths --doubles 0 ;;
    sleepers) finds 60 "$folder/kill_mutant_sleepers" ;;
    liveness) finds 60 "$folder/kill_mutant_liveness" ;;
    storm) finds 60 "$folder/kill_mutant_hooked_storm" --seconds 25 --round 1000 --stop ;;
    esac
}

# The one that is best at this bug comes first; the others are asked if it finds nothing.
first_for()
{
    case $1 in
    WAKE_*) echo sleepers ;;
    NO_GENERATION | SERIAL_* | BARE_FLAG | NOW_* | NAME_* | OWN_DESCRIPTION | ATFORK_ALONE) echo liveness ;;
    LOCK_DOES_NOT_LOOK | UNFINISHED_* | SLOT_* | DEATHS_APART) echo two deaths ;;
    PADDING_FIRST | HINT_FIRST | SWEEP_UNLOCKED | HELD_AFTER_UNLOCK) echo stalls ;;
    *) echo deaths ;;
    esac
}

find_it()
{
    what=
    for by in "$(first_for "$mutation")" deaths sleepers liveness "two deaths" stalls storm; do
        try "$by" && return
    done
    by=nothing
}

printf '%-22s %-12s %s\n' "planted bug" "found by" "what was seen"
for mutation in "$@"; do
    find_it
    printf '%-22s %-12s %s\n' "$mutation" "$by" "$what"
    if [ "$mutation" = NONE ]; then
        [ "$by" = nothing ] || failures=$((failures + 1))
    else
        [ "$by" != nothing ] || failures=$((failures + 1))
    fi
done
echo "mutations: $failures not as they must be"
[ "$failures" -eq 0 ]
