#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Check the protocol's model with SPIN: run.sh [--full] [WORK]. Prints a table; exits 1 if a row is not what it must be.
#
# quick (default): small exhaustive runs, and every planted mistake, each of which must be found. --full: more deaths, more
# offsets, everything at once; tens of minutes and up to 12 GB.
set -u
here=$(cd "$(dirname "$0")" && pwd)
full=no
[ "${1:-}" = --full ] && { full=yes; shift; }
work=$(mkdir -p "${1:-build/model}" && cd "${1:-build/model}" && pwd)
for tool in spin cc timeout; do
    command -v $tool >/dev/null || { echo "model: $tool is missing"; exit 2; }
done

# name | must (holds or found) | definitions
rows()
{
    local small="-DSTART=4 -DONELEASE" alone="-DSTART=4 -DONELEASE -DNOJOIN"
    cat <<END
nobody dies|holds|$small -DMAXD=0
one dies|holds|$alone -DMAXD=1
one dies, both lease|holds|-DSTART=4 -DNOJOIN -DMAXD=1
one dies and comes back|holds|$alone -DMAXD=1 -DRESPAWN
batches, one dies|holds|$alone -DMAXD=1 -DBATCH -DNMSG=4 -DC=12 -DM=24
blocks, one dies|holds|$alone -DMAXD=1 -DBLOCKS
shutdown, nobody dies|holds|$small -DMAXD=0 -DSHUT
owner written after the lock is taken|found|$alone -DMAXD=1 -DM_OWNER
no zero header behind a record|found|$alone -DMAXD=0 -DM_NOZERO
padding published before its record|found|$alone -DMAXD=0 -DM_PADFIRST
space check without the zero header|found|-DSTART=1 -DONELEASE -DNOJOIN -DMAXD=0 -DNMSG=3 -DM_SPACE
batch: first header first|found|$alone -DMAXD=0 -DBATCH -DNMSG=4 -DC=12 -DM=24 -DM_BATCHFIRST
lease written after head moves|found|$alone -DMAXD=1 -DM_LEASEAFTER
count apart from position|found|$alone -DMAXD=1 -DM_SPLIT
generation dropped at take-over|found|$alone -DMAXD=1 -DRESPAWN -DM_ABA
wake relied upon|found|$alone -DMAXD=1 -DM_WAKE
put repair in two steps|found|$alone -DMAXD=2 -DM_REPAIR
prepared entries not settled at take-over|found|$alone -DMAXD=1 -DM_GETNOTHING
prepared entries judged without the lock|found|$alone -DMAXD=1 -DM_NOGLOCKCMP
prepared entry made held by the dead|found|$alone -DMAXD=1 -DM_PREPHELD
held stored after the unlock|found|$alone -DMAXD=1 -DM_HELDAFTER
unfinished stored and recomputed|found|$small -DMAXD=1 -DM_STORED
join reads leases, then ring|found|$small -DMAXD=0 -DM_JOINNAIVE
join reads ring, then leases, once|found|$small -DMAXD=0 -DM_JOINONCE
roster slot freed first|found|$alone -DMAXD=2 -DM_SLOTFIRST
block given to the queue after publication|found|$alone -DMAXD=1 -DBLOCKS -DM_GIVELATE
block owned after head moves|found|$alone -DMAXD=1 -DBLOCKS -DM_OWNLATE
sweep without the putters' lock|found|$alone -DMAXD=1 -DBLOCKS -DM_ONELOCK
take-over of the putters' lock asks for no sweep|found|$alone -DMAXD=1 -DBLOCKS -DM_NONEED
immediate shutdown leaves no note for repair|found|$small -DMAXD=1 -DSHUT -DM_SHUTNOSWEEP
END
    [ $full = yes ] && cat <<END
one dies, with joiner|holds|$small -DMAXD=1
two die|holds|$alone -DMAXD=2
two die, every offset, joiner|holds|-DONELEASE -DMAXD=2
two die and come back, both lease|holds|-DSTART=3 -DNOJOIN -DMAXD=2 -DRESPAWN
four messages, one dies and comes back|holds|-DSTART=1 -DNOJOIN -DMAXD=1 -DRESPAWN -DNMSG=4
blocks, one dies and comes back|holds|-DSTART=4 -DNOJOIN -DMAXD=1 -DRESPAWN -DBLOCKS
blocks, two die|holds|$alone -DMAXD=2 -DBLOCKS
shutdown, one dies|holds|$small -DMAXD=1 -DSHUT
END
    return 0
}

# One row: verdict and figures into a file of its own.
check()
{
    local number=$1 name=$2 must=$3 definitions=$4 dir=$work/$1
    mkdir -p "$dir" && cd "$dir" && cp "$here/cano.pml" . || exit 2
    local optimise=-O0
    [ $full = yes ] && optimise=-O2
    # shellcheck disable=SC2086
    if ! { spin $definitions -a cano.pml && cc $optimise -w -DSAFETY -DCOLLAPSE -o pan pan.c; } >build.log 2>&1; then
        printf '%-50s %-6s not built: see %s\n' "$name" "$must" "$dir/build.log" >row
        return
    fi
    timeout "${MODEL_SECONDS:-$([ $full = yes ] && echo 3600 || echo 150)}" ./pan -m400000 >out 2>&1
    local states verdict
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out | head -1)
    if grep -q '^pan:1: assertion violated\|^pan:1: invalid end state' out; then
        verdict=found
    elif grep -q 'errors: 0' out && ! grep -q 'Search not completed\|max search depth too small' out; then
        verdict=holds
    else
        verdict=unknown
    fi
    printf '%-50s %-6s %-8s %12s states%s\n' "$name" "$must" "$verdict" "${states:-?}" \
        "$([ $verdict = "$must" ] || echo "  <-- WRONG")" >row
    rm -f pan pan.[cbhmtp] cano.pml.trail
}
export -f check
export here work full

rm -rf "${work:?}"/[0-9]*
rows | awk '{ print NR "|" $0 }' | tr '\n' '\0' |
    xargs -0 -P "$(getconf _NPROCESSORS_ONLN)" -I{} bash -c 'IFS="|" read -r a b c d <<<"$1"; check "$a" "$b" "$c" "$d"' _ {}
printf '%-50s %-6s %-8s\n' model must verdict
count=$(rows | wc -l)
for i in $(seq "$count"); do cat "$work/$i/row" 2>/dev/null || echo "row $i is missing  <-- WRONG"; done | tee "$work/table"
good=$(grep -cE ' (holds +holds|found +found) ' "$work/table")
echo "$good passed, $((count - good)) failed"
[ "$good" = "$count" ]
