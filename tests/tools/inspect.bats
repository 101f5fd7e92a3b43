# SPDX-License-Identifier: Apache-2.0
# ls, stat, who, doctor, trace, top as text: what is seen, and that looking disturbs nobody.
load helper

# Somebody who holds task 1 of q.
start_holder()
{
    mkfifo answers
    cano get --ack q <answers >got 3>&- &
    holder=$!
    exec 9>answers
    eventually matches . got
}

is_json()
{
    python3 -c 'import json, sys
for line in sys.stdin:
    json.loads(line)'
}

@test "ls lists queues and listeners" {
    seq 3 | cano put tasks
    "$PLAIN" make plain
    cano listen ear </dev/null 3>&- &
    eventually cano stat ear
    echo x >"$CANO_DIR/README"
    cano ls >out
    matches '^NAME  *KIND  *ITEMS UNFINISHED' out
    matches '^tasks  *joinable  *3  *3 ' out
    matches '^plain  *queue  *0  *- ' out
    matches '^ear  *listener ' out
    matches "^README  *not cano's" out
    [ "$(cano ls --names | tr '\n' ' ')" = "ear plain tasks " ]
    cano ls --json | is_json
    [ "$(cano ls --json | wc -l)" -eq 4 ]
    mkdir empty
    [ "$(cano ls --dir empty --json | wc -l)" -eq 0 ]
}

@test "stat tells all about one queue" {
    seq 5 | cano put --items 10 --bytes 2K --retries 2 q
    cano get q
    cano stat q >out
    matches '^q: joinable, made ' out
    matches '^  items        4 of 10' out
    matches '^  put          5' out
    matches '^  unfinished   4' out
    matches '^  done         1' out
    matches '(after 3 deliveries)' out
    cano stat --json q | is_json
    has q done -eq 1
    cano shutdown q
    cano stat q | grep -q 'shut down *what is left may be got'
}

@test "who tells who is attached and what each holds" {
    printf 'first\nsecond\n' | cano put q
    run cano who q
    [ "$status" -eq 1 ]
    start_holder
    cano who q >out
    matches "^ *[0-9]* *$holder *cano *getter *alive *1$" out
    matches '^ *task 1, delivery 1, in hand: first$' out
    cano who --json q | is_json
    [[ $(cano who --json q) == *"\"pid\":$holder,\"command\":\"cano\",\"role\":\"getter\",\"alive\":true,\"tasks\":[{\"task\":1,\"state\":\"in hand\",\"deliveries\":1,\"bytes\":5,\"due\":0.000000,\"begins\":\"first\"}]"* ]]
    kill -KILL $holder
    wait $holder || true
    cano who q >out
    matches "^ *[0-9]* *$holder *- *getter *dead *1$" out
    cano get -n 2 q >/dev/null
    exec 9>&-
}

@test "looking takes no place" {
    cano put --participants 1 q </dev/null
    cano get --follow q 3>&- &
    eventually has q participants -eq 1
    cano ls
    cano who q
    cano doctor q || true
    cano top -n 1
    cano trace --for 0.1 q
    has q participants -eq 1
}

@test "doctor finds nothing wrong" {
    cano put q </dev/null
    run cano doctor
    [ "$status" -eq 0 ]
    [[ $output == "$CANO_DIR: 1 names, "*" free of "*": nothing is wrong" ]]
    [ "$(cano doctor --json | wc -l)" -eq 0 ]
}

@test "doctor finds the dead, and puts right what they left" {
    seq 2 | cano put q
    start_holder
    kill -KILL $holder
    wait $holder || true
    exec 9>&-
    run cano doctor
    [ "$status" -eq 1 ]
    [[ $output == *"q: 1 dead: $holder; tasks in their hands: 1"*"'cano doctor --repair' now"* ]]
    has q leased -eq 1
    cano doctor --json >out || true
    is_json <out
    run cano doctor --repair
    [ "$status" -eq 0 ]
    [[ $output == *"put right"*"1 wrong, 1 of it put right" ]]
    has q leased -eq 0
    has q items -eq 2
    [ "$(cano get --json q)" = '{"task":1,"deliveries":2,"item":"1"}' ]
    run cano doctor
    [ "$status" -eq 0 ]
}

@test "doctor finds what was left behind, and removes it" {
    cano put old </dev/null
    printf 'another start' | dd of="$CANO_DIR/old" bs=1 seek=64 conv=notrunc 2>/dev/null
    cano listen ear </dev/null 3>&- &
    eventually cano stat ear
    kill -KILL $!
    wait $! || true
    touch -d '2 minutes ago' "$CANO_DIR/.new.0123456789abcdef0123456789abcdef" "$CANO_DIR/.lock.somebody"
    touch "$CANO_DIR/.new.fedcba9876543210fedcba9876543210" # somebody may be making it just now
    cano ls >out
    matches '^old  *stale ' out
    matches '^ear  *dead listener ' out
    run cano doctor
    [ "$status" -eq 1 ]
    [[ $output == *"old: left from before the machine started anew"* ]]
    [[ $output == *"ear: its listener died"* ]]
    [[ $output == *"$CANO_DIR: 2 files left behind, half made or by those who died"* ]]
    cano doctor --repair
    [ "$(ls -A "$CANO_DIR")" = .new.fedcba9876543210fedcba9876543210 ]
}

@test "doctor leaves alone what it does not know" {
    cano put newer </dev/null
    printf '\143' | dd of="$CANO_DIR/newer" bs=1 seek=8 conv=notrunc 2>/dev/null
    cano put broken </dev/null
    printf '\377\377\377\377\377\377\377\377' | dd of="$CANO_DIR/broken" bs=1 seek=256 conv=notrunc 2>/dev/null
    echo x >"$CANO_DIR/README"
    run cano doctor --repair
    [ "$status" -eq 1 ]
    [[ $output == *"newer: made by another version of cano"* ]]
    [[ $output == *"broken: its memory is damaged"*"'cano rm broken' frees the name"* ]]
    [[ $output == *"README: not made by cano"* ]]
    [ "$(ls "$CANO_DIR" | tr '\n' ' ')" = "README broken newer " ]
}

@test "doctor finds queues that can hand out nothing, or let nobody in" {
    seq 1 | cano put --leases 1 --retries 0 q
    cano work -q q -- false || true
    run cano doctor q
    [ "$status" -eq 1 ]
    [[ $output == *"dead letters hold all its leases"*"'cano dead --retry q' or --drop"* ]]
    cano put --participants 1 full </dev/null
    cano get --follow full 3>&- &
    eventually has full participants -eq 1
    run cano doctor full
    [[ $output == *"full: all its places are taken"* ]]
}

# What happens is told once something that happened is.
is_tracing()
{
    seq 1 | cano put q
    cano get q
    [ -s out ]
}

@test "trace tells what happens" {
    cano put q </dev/null
    cano trace --interval 0.005 q >out 3>&- &
    tracer=$!
    eventually is_tracing
    seq 2 | cano put q
    eventually matches ' put  *2 (2 queued, 2 unfinished)' out
    start_holder
    eventually matches "attached process $holder (cano), slot [0-9]*, role getter" out
    eventually matches "taken  *task [0-9]*, delivery 1, process $holder: 1" out
    echo no >&9
    eventually matches 'returned task [0-9]*, delivery 2: 1' out
    exec 9>&-
    eventually matches "left  *process $holder" out
    mkfifo more
    cano get --ack q <more >got 3>&- &
    other=$!
    exec 9>more
    eventually matches "taken  *task [0-9]*, delivery 2, process $other" out
    kill -KILL $other
    eventually matches "died  *process $other" out
    wait $other || true
    cano get --all q >/dev/null
    eventually matches "cleared  *process $other" out
    cano shutdown q
    eventually matches 'shutdown' out
    exec 9>&-
    cano rm q
    ends_with 0 $tracer
}

@test "trace in JSON" {
    cano put q </dev/null
    cano trace --json --for 60 q >out 3>&- &
    tracer=$!
    eventually is_tracing
    kill -TERM $tracer
    ends_with 0 $tracer
    is_json <out
    matches '"event":' out
}

@test "top as text and in JSON" {
    seq 3 | cano put q
    start_holder
    cano top -n 1 q >out
    matches '^cano top ' out
    matches '^> q  *2  *3  *1  *0 ' out
    matches "^ *[0-9]* *$holder  *cano *getter *1$" out
    matches 'task 1, delivery 1, in hand 0.0s: 1' out
    cano top >out </dev/null
    matches '^cano top ' out
    cano top --json -n 2 --interval 0.1 >out
    [ "$(wc -l <out)" -eq 2 ]
    is_json <out
    matches '"in_per_second":' out
    exec 9>&-
}
