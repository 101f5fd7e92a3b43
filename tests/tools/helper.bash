# SPDX-License-Identifier: Apache-2.0
# What the tests of the cano command share: a directory of names for each test, patience, and what must not be left behind.
#   CANO: the command. TMUX_PROGRAM: tmux, where there is one.
bats_require_minimum_version 1.5.0

# By PATH and not by a function: what runs in the background is then the command itself, which can be killed.
setup()
{
    export CANO_DIR=$BATS_TEST_TMPDIR/names LC_ALL=C.UTF-8 PATH=$(dirname "$CANO"):$PATH
    mkdir "$CANO_DIR"
    cd "$BATS_TEST_TMPDIR"
}

# Whatever a test started is ended with it. Bats waits for descriptor 3: what runs on must not have it.
end_jobs()
{
    for job in $(jobs -p); do
        kill -KILL "$job" 2>/dev/null || true
    done
    wait
}

teardown()
{
    end_jobs
}

# Run a command again and again until it succeeds.
eventually()
{
    local end=$((SECONDS + 20))
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "never: $*" >&2
            return 1
        fi
        sleep 0.01
    done
}

# A job ends, with this exit status.
ends_with()
{
    local result=0
    wait "$2" || result=$?
    [ $result -eq "$1" ] || { echo "exit status $result instead of $1" >&2; return 1; }
}

# A number out of stat --json; the limits come last.
number()
{
    cano stat --json "$1" | grep -o "\"$2\":[0-9]*" | head -n 1 | cut -d : -f 2
}

has()
{
    [ "$(number "$1" "$2")" "$3" "$4" ]
}

is_gone()
{
    ! kill -0 "$1" 2>/dev/null
}

matches()
{
    grep -q -e "$1" "$2"
}
