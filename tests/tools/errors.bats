# SPDX-License-Identifier: Apache-2.0
# Every failure says what happened, to which name, and what to do; the command line makes sense or it is said why not.
load helper

commands="put get peek shutdown rm work join dead ls stat top who doctor trace pipe listen connect bench help"

fails()
{
    local expected=$1
    shift
    run --separate-stderr timeout 20 "$@"
    [ "$status" -eq "$expected" ] || { echo "$*: $status, $stderr"; return 1; }
}

@test "help for every command, with examples and exit statuses" {
    cano help >all
    for command in $commands; do
        cano "$command" --help >said
        matches "^usage: cano $command" said
        matches '^Options' said
        matches '^Exit status' said
        matches "^  .*cano .*$command" said
        cano help "$command" | cmp - said
        matches "^  $command " all
        [ "$(awk 'length > 100' said | wc -l)" -eq 0 ]
    done
    cano --help | cmp - all
    cano --version | matches '^cano [0-9]*\.[0-9]*\.[0-9]*$' /dev/stdin
}

@test "the command line makes no sense" {
    fails 2 "$CANO"
    fails 2 "$CANO" nonsense
    [[ $stderr == *"there is no command 'nonsense'"* ]]
    fails 2 "$CANO" --nonsense put q
    fails 2 "$CANO" --dir
    fails 2 "$CANO" help nonsense
    fails 2 "$CANO" help --man nonsense
    fails 2 "$CANO" help --completion csh
    for command in put get peek shutdown rm work join dead stat who trace pipe listen connect; do
        fails 2 "$CANO" $command
        [[ $stderr == *"cano $command: "*" is missing"*"usage: cano $command"* ]]
        fails 2 "$CANO" $command --nonsense
        [[ $stderr == *"there is no option like --nonsense"* ]]
    done
    for command in get peek shutdown join dead stat who trace pipe listen connect; do
        fails 2 "$CANO" $command a b
        [[ $stderr == *"what is 'b' for?"* ]]
    done
    fails 2 "$CANO" ls a
    fails 2 "$CANO" doctor a b
    fails 2 "$CANO" top a b
    fails 2 "$CANO" work q
    fails 2 "$CANO" shutdown --json q
}

@test "values that are none" {
    fails 2 "$CANO" get -n 0 q
    [[ $stderr == *"-n: '0' is no number from 1 to "* ]]
    fails 2 "$CANO" get -n
    [[ $stderr == *"-n needs a value"* ]]
    fails 2 "$CANO" put --items x q
    fails 2 "$CANO" put --items 99999999 q
    fails 2 "$CANO" put --bytes 1X q
    [[ $stderr == *"is no size from 1 to "*", as 512, 64K, 1.5M or 2G"* ]]
    fails 2 "$CANO" put --timeout soon q
    [[ $stderr == *"'soon' is no time, as 2, 0.5, 100ms, 3m or 1h"* ]]
    fails 2 "$CANO" put --timeout -1 q
    fails 2 "$CANO" put --whole=yes q
    fails 2 "$CANO" work -j 0 q -- true
    fails 2 "$CANO" work -j 5000 q -- true
    fails 2 "$CANO" dead --retry --drop q
}

@test "names that are none" {
    for name in a/b .hidden "" "a b" ../x "$(printf '%0101d' 0)"; do
        fails 3 "$CANO" put "$name" </dev/null
        [[ $stderr == *"cannot open or make '$name': a name is 1 to 100 letters, digits, '.', '_' and '-'"* ]]
    done
    cano put "$(printf '%0100d' 0)" </dev/null
}

@test "names that are not there" {
    for command in get peek shutdown join dead stat who trace "doctor"; do
        fails 3 "$CANO" $command nobody
        [[ $stderr == *"'nobody': there is nothing of that name in $CANO_DIR; 'cano ls' lists what there is, 'cano put nobody' makes a queue"* ]]
    done
    fails 3 "$CANO" work nobody -- true
    [[ $stderr == *"there is no queue 'nobody' in $CANO_DIR: put tasks first"* ]]
}

@test "things of another kind" {
    echo something >"$CANO_DIR/file"
    fails 3 "$CANO" put file </dev/null
    [[ $stderr == *"what has that name in $CANO_DIR was not made by cano"* ]]
    cano listen ear >/dev/null </dev/null 3>&- &
    eventually cano stat ear
    fails 3 "$CANO" put ear </dev/null
    [[ $stderr == *"a listener has that name"* ]]
    fails 3 "$CANO" rm ear
    [[ $stderr == *"a listener has that name"* ]]
    echo x | cano put q
    fails 3 "$CANO" listen q
    [[ $stderr == *"cannot listen at 'q': a queue has that name"* ]]
    fails 3 "$CANO" connect q
    fails 3 "$CANO" pipe q
    [ "$(cano get q)" = x ]
}

@test "a plain queue knows no tasks" {
    "$PLAIN" make plain
    echo x | cano put plain
    fails 3 "$CANO" work plain -- true
    [[ $stderr == *"cannot open 'plain': it is a plain queue"* ]]
    fails 3 "$CANO" join plain
    fails 3 "$CANO" dead plain
    fails 3 "$CANO" get --ack plain
    [ "$(cano peek plain)" = x ]
    [ "$(cano get --json plain)" = '{"item":"x"}' ]
    cano ls | grep -q '^plain  *queue '
    cano stat plain >said
    ! matches unfinished said
}

@test "all places are taken" {
    cano put --participants 1 q </dev/null
    cano get --follow q 3>&- &
    eventually has q participants -eq 1
    fails 3 "$CANO" put q </dev/null
    [[ $stderr == *"all its 1 places are taken, 'cano who q' tells by whom; a queue with more is made with --participants"* ]]
    [ "$(number q participants)" -eq 1 ]
}

@test "all leases are out" {
    seq 3 | cano put --leases 1 --retries 0 q
    fails 1 "$CANO" work -j 1 -q q -- sh -c '[ {} != 1 ]' || true
    # the first one failed, and is a dead letter that holds the only lease
    fails 3 "$CANO" work -j 1 q -- true
    [[ $stderr == *"dead letters hold all its 1 leases: 'cano dead --retry q' or --drop frees them"* ]]
    fails 3 "$CANO" get q
    [[ $stderr == *"all its 1 leases are out: 0 tasks in hand ('cano who q'), 1 dead letters"* ]]
    cano dead --drop q
    [ "$(cano get --all q | tr '\n' ' ')" = "2 3 " ]
}

@test "damage and another version" {
    cano put q </dev/null
    printf '\143' | dd of="$CANO_DIR/q" bs=1 seek=8 conv=notrunc 2>/dev/null
    fails 3 "$CANO" put q </dev/null
    [[ $stderr == *"'q': it was made by another version of cano than this one ("*"); use that one, or 'cano rm q'"* ]]
    cano rm q
    cano put q </dev/null
    printf '\377\377\377\377\377\377\377\377' | dd of="$CANO_DIR/q" bs=1 seek=256 conv=notrunc 2>/dev/null
    fails 3 "$CANO" get q
    [[ $stderr == *"its shared memory is damaged; 'cano rm q' frees the name"* ]]
    fails 3 "$CANO" stat q
    cano rm q
}

@test "a directory that is not safe, or not there" {
    chmod 777 "$CANO_DIR"
    fails 3 "$CANO" put q </dev/null
    [[ $stderr == *"the directory of names"*"is not safe: it must belong to you"*"chmod 700"*"--dir"* ]]
    fails 3 "$CANO" ls
    fails 3 "$CANO" doctor
    fails 3 "$CANO" --dir "$PWD/nowhere" put q </dev/null
    [[ $stderr == *"the directory of names is not there; make it, or name another one with --dir"* ]]
}

@test "no room for shared memory" {
    if ! unshare -m true 2>/dev/null; then
        skip "this user may mount nothing here"
    fi
    run --separate-stderr unshare -m sh -c 'mount -t tmpfs -o size=1m,mode=700 none "$CANO_DIR" && "$CANO" put q </dev/null'
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot open or make 'q': $CANO_DIR is full: 1.0M left of 1.0M; ask for less (--items, --bytes), "*"use --dir"* ]]
    run --separate-stderr unshare -m sh -c 'mount -t tmpfs -o size=1m,mode=700 none /dev/shm && "$CANO" --dir /dev/shm put q </dev/null'
    [[ $stderr == *"/dev/shm is full: "*"docker run --shm-size=1g"* ]]
    run unshare -m sh -c 'mount -t tmpfs -o size=1m,mode=700 none "$CANO_DIR" && "$CANO" doctor'
    [ "$status" -eq 1 ]
    [[ $output == *"$CANO_DIR: full: 1.0M left of 1.0M"* ]]
}

@test "whoever may not read or write it" {
    if [ "$(id -u)" -ne 0 ] || ! command -v setpriv >/dev/null; then
        skip "only root can be somebody else"
    fi
    CANO_DIR=$(mktemp -d) # where everybody gets at it
    cano put q </dev/null
    chmod 755 "$CANO_DIR"
    run --separate-stderr setpriv --reuid=65534 --clear-groups "$CANO" get q
    rm -r "$CANO_DIR"
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot open 'q': $CANO_DIR/q belongs to another user, or you may not read and write it"* ]]
}

@test "somebody who is stopped holds a queue up" {
    "$PLAIN" make q
    "$PLAIN" hold q 3>&- &
    holder=$!
    eventually test -e held
    kill -STOP $holder
    run cano doctor q
    [ "$status" -eq 1 ]
    [[ $output == *"q: process $holder is stopped and holds the queue up"*"kill -CONT $holder"* ]]
    kill -KILL $holder
}

@test "there is no program to measure with" {
    mkdir empty
    cp "$CANO" empty/cano
    run --separate-stderr env PATH="$PWD/empty" LD_LIBRARY_PATH="$(dirname "$CANO")/..:$LD_LIBRARY_PATH" "$PWD/empty/cano" bench
    [ "$status" -eq 3 ]
    [[ $stderr == *"there is no program 'cano-bench' beside this one or in PATH"*"scripts/bench"* ]]
    printf '#!/bin/sh\necho measured "$@"; exit 7\n' >empty/cano-bench
    chmod +x empty/cano-bench
    run env LD_LIBRARY_PATH="$(dirname "$CANO")/..:$LD_LIBRARY_PATH" "$PWD/empty/cano" bench -- --quick 2
    [ "$status" -eq 7 ]
    [ "$output" = "measured --quick 2" ]
}
