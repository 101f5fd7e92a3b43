# SPDX-License-Identifier: Apache-2.0
# work, join, dead: every task is done, whoever dies.
load helper

# The sums of all files of a real directory, as xargs makes them.
tree=/usr/include
[ -d "$tree" ] || tree=$BATS_TEST_DIRNAME/../..

list_files()
{
    find "$tree" -type f 2>/dev/null | sort | head -n "$1"
}

# A worker whose lines the tests wait for: says its number, then waits for a file of that name.
cat_when_told='echo begin {} >>begun; until [ -e go.{} ]; do sleep 0.01; done; echo end {}'

is_group_gone()
{
    [ "$(ps -eo pgid=,stat= | awk -v group="$1" '$1 == group && $2 !~ /^Z/' | wc -l)" -eq 0 ]
}

@test "does what xargs does, byte by byte" {
    seq 300 >in
    cano put q in
    cano work -j 4 q -- sh -c 'echo "item $1"' sh {} >out
    xargs -n 1 sh -c 'echo "item $1"' sh <in >expected
    sort -n -k 2 out | cmp - expected
    cano join --timeout 0 q
}

@test "the item goes where {} is, as often as it is there, or to the end" {
    echo 'a b' | cano put q
    [ "$(cano work q -- printf '<%s>' x{}y '{}{}' {})" = '<xa by><a ba b><a b>' ]
    echo 'a b' | cano put q
    [ "$(cano work q -- printf '<%s>' first)" = '<first><a b>' ]
    echo -n | cano put --whole q
    [ "$(cano work q -- printf '<%s>')" = '<>' ]
    printf 'two\nlines\0' | cano put -0 q
    [ "$(cano work q -- printf '<%s>')" = "$(printf '<two\nlines>')" ]
}

@test "a command knows its task, reads nothing, and finds signals as usual" {
    echo x | cano put q
    [ "$(cano work q -- sh -c 'echo "$CANO_QUEUE $CANO_TASK $CANO_DELIVERIES"')" = "q 1 1" ]
    echo x | cano put q
    [ "$(yes | cano work q -- sh -c 'wc -c')" -eq 0 ]
    echo x | cano put q
    [ "$(cano work q -- bash -c 'trap -p')" = "" ]
    echo x | cano put q
    [ "$(cano work q -- bash -c 'yes | head -n 1')" = y ]
}

@test "as many at one time as -j says" {
    seq 4 | cano put q
    cano work -j 4 q -- sh -c "$cat_when_told" >out 3>&- &
    eventually sh -c '[ "$(wc -l <begun)" -eq 4 ]'
    [ "$(sort begun | tr '\n' ' ')" = "begin 1 begin 2 begin 3 begin 4 " ]
    has q leased -eq 4
    touch go.1 go.2 go.3 go.4
    wait $!
    [ "$(sort out | tr '\n' ' ')" = "end 1 end 2 end 3 end 4 " ]
}

@test "lines of different commands do not mix" {
    seq 60 | cano put q
    cano work -j 8 q -- sh -c 'for i in 1 2 3 4 5 6 7 8; do printf "%s" "$1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; printf "%s\n" "-$i"; done; printf "%s last" "$1"' sh {} >out
    [ "$(wc -l <out)" -eq 540 ]
    [ "$(grep -c -E '^([0-9]+)-a{30}-[1-8]$' out)" -eq 480 ]
    [ "$(grep -c -E '^[0-9]+ last$' out)" -eq 60 ]
    # what one command prints stays together
    [ "$(sed 's/[- ].*//' out | uniq | wc -l)" -eq 60 ]
}

@test "much output, and output of errors" {
    seq 2 | cano put q
    cano work -j 2 q -- sh -c 'head -c 20000000 /dev/zero | tr "\0" "$1"; echo; echo "said $1" >&2' sh {} >out 2>said
    [ "$(sort said | tr '\n' ' ')" = "said 1 said 2 " ]
    [ "$(wc -c <out)" -eq 40000002 ]
    [ "$(tr -s 12 <out | sort | tr '\n' ' ')" = "1 2 " ]
}

@test "a task whose command fails is tried again, then a dead letter" {
    printf 'good\nbad\n' | cano put q
    run --separate-stderr cano work -j 1 --retries 2 q -- sh -c 'echo "$1 $CANO_DELIVERIES" >>runs; [ $1 = good ]' sh {}
    [ "$status" -eq 1 ]
    [ "$(tr '\n' ' ' <runs)" = "good 1 bad 1 bad 2 bad 3 " ]
    [[ $stderr == *"'bad': exit status 1 (delivery 1 of 3): again"* ]]
    [[ $stderr == *"'bad': exit status 1 (delivery 3 of 3): a dead letter, see 'cano dead q'"* ]]
    [[ $stderr == *"1 done, 2 retried, 1 dead in "* ]]
    [ "$(cano dead q)" = bad ]
    cano join --timeout 0 q
    run --separate-stderr cano work --quiet q -- true
    [ "$status" -eq 0 ]
}

@test "what a command prints that fails is no result" {
    echo x | cano put q
    run --separate-stderr cano work --retries 1 q -- sh -c 'echo line; echo oops >&2; [ $CANO_DELIVERIES = 2 ]'
    [ "$output" = line ]
    [ "$(grep -c oops <<<"$stderr")" -eq 2 ]
    echo x | cano put q
    run --separate-stderr cano work --stream --retries 1 q -- sh -c 'echo line; [ $CANO_DELIVERIES = 2 ]'
    [ "$output" = "$(printf 'line\nline')" ]
}

@test "a command that a signal ends, or that takes too long, has failed" {
    printf 'kill\nslow\n' | cano put q
    run --separate-stderr cano work -j 2 --retries 0 --timeout 0.3 q -- sh -c 'if [ $1 = kill ]; then kill -KILL $$; else echo $$ >slow; sleep 100; fi' sh {}
    [ "$status" -eq 1 ]
    [[ $stderr == *"'kill': killed by signal 9 (delivery 1 of 1): a dead letter"* ]]
    [[ $stderr == *"'slow': took too long (delivery 1 of 1): a dead letter"* ]]
    eventually is_group_gone "$(cat slow)" # with what it started
}

@test "--delay lets a task wait before it is tried again" {
    echo x | cano put q
    cano work --delay 0.4 --retries 5 q -- sh -c 'date +%s%N >>times; [ $CANO_DELIVERIES = 2 ]'
    [ $((($(tail -n 1 times) - $(head -n 1 times)) / 1000000)) -ge 400 ]
}

@test "dead letters that the queue keeps" {
    printf 'a\nb\n' | cano put --retries 1 q
    run cano work -q q -- false
    [ "$status" -eq 1 ]
    has q dead -eq 2
    [ "$(cano dead q | sort | tr '\n' ' ')" = "a b " ]
    [ "$(cano dead -0 q | tr '\0' ' ')" = "a b " ]
    [ "$(cano dead --json q | head -n 1)" = '{"where":"queue","task":1,"deliveries":2,"item":"a"}' ]
    cano dead --retry q
    has q unfinished -eq 2
    [ "$(cano work q -- echo | sort | tr '\n' ' ')" = "a b " ]
    run cano dead q
    [ "$status" -eq 1 ]
    run --separate-stderr cano work --retries 9 q -- true
    [[ $stderr == *"'q' was made with --retries 1"* ]]
}

@test "dead letters in a queue beside" {
    printf 'a\nb\nc\n' | cano put q
    run cano work -q -j 1 --retries 0 q -- false
    [ "$status" -eq 1 ]
    [ "$(cano dead q | sort | tr '\n' ' ')" = "a b c " ]
    has q.dead items -eq 3
    [ "$(cano dead --json q | head -n 1)" = '{"where":"side queue","item":"a"}' ]
    cano dead --retry q
    has q.dead items -eq 0
    [ "$(cano work q -- echo | sort | tr '\n' ' ')" = "a b c " ]
    echo d | cano put q
    run cano work -q --retries 0 q -- false
    cano dead --drop q
    run cano dead q
    [ "$status" -eq 1 ]
}

@test "an item that can be no argument" {
    printf 'a\0b' >nul
    head -c 300000 /dev/zero | tr '\0' x >long
    cano put --whole q nul long
    run --separate-stderr cano work q -- true
    [ "$status" -eq 1 ]
    [[ $stderr == *"'a.b': it has a NUL byte in it, which no argument can"* ]]
    [[ $stderr == *"xxx...': Argument list too long"* ]]
    [ "$(cano dead q | wc -c)" -eq 300005 ]
}

@test "a command that is not there fails nothing but work" {
    seq 5 | cano put q
    run --separate-stderr cano work -j 2 q -- ./nowhere
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot run './nowhere': No such file or directory"* ]]
    [ "$(cano get --json q)" = '{"task":1,"deliveries":1,"item":"1"}' ]
    has q unfinished -eq 4
}

@test "results that cannot be written are not done" {
    seq 3 | cano put q
    run --separate-stderr bash -c '"$CANO" work -j 1 q -- echo >/dev/full'
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot write to standard output"* ]]
    has q unfinished -eq 3
}

@test "a document for each run in JSON" {
    printf 'good\nbad\n' | cano put q
    cano work -q -j 1 --retries 1 --json q -- sh -c 'echo "out $1"; [ $1 = good ]' sh {} >out || [ $? -eq 1 ]
    sed 's/"seconds":[0-9.]*/"seconds":0/' out >plain
    cmp plain - <<'END'
{"task":1,"item":"good","deliveries":1,"outcome":"done","exit":0,"signal":0,"timed_out":false,"seconds":0,"output":"out good\u000a"}
{"task":2,"item":"bad","deliveries":1,"outcome":"retry","exit":1,"signal":0,"timed_out":false,"seconds":0,"output":"out bad\u000a"}
{"task":2,"item":"bad","deliveries":2,"outcome":"dead","exit":1,"signal":0,"timed_out":false,"seconds":0,"output":"out bad\u000a"}
END
}

@test "work waits for what others have in hand" {
    seq 2 | cano put q
    cano work -j 2 q -- sh -c "$cat_when_told" >first 3>&- &
    one=$!
    eventually matches 'begin 2' begun
    cano work q -- echo second >second 3>&- &
    other=$!
    eventually has q participants -eq 2
    kill -KILL $one # its commands run on; its tasks go to the other
    eventually is_gone $other
    [ "$(sort second | tr '\n' ' ')" = "second 1 second 2 " ]
    touch go.1 go.2
}

@test "work waits for a put that is still at it" {
    mkfifo slow
    cano put q <slow 3>&- &
    exec 9>slow
    echo one >&9
    eventually has q items -eq 1
    cano work q -- echo >out 3>&- 9>&- &
    worker=$!
    eventually matches one out
    echo two >&9
    eventually matches two out
    exec 9>&-
    ends_with 0 $worker
}

@test "--follow stays until the queue is shut down, and makes the queue" {
    cano work --follow --items 5 q -- echo >out 3>&- &
    worker=$!
    eventually cano stat q
    has q participants -eq 1
    echo one | cano put q
    eventually matches one out
    cano join --timeout 10 q
    echo two | cano put q
    eventually matches two out
    cano shutdown q
    ends_with 0 $worker
}

@test "Ctrl-C waits for what runs, and ends" {
    seq 5 | cano put q
    cano work -j 2 q -- sh -c "$cat_when_told" >out 2>said 3>&- &
    worker=$!
    eventually matches 'begin 2' begun
    kill -INT $worker
    eventually matches 'waiting for 2 that run' said
    touch go.1 go.2
    ends_with 130 $worker
    [ "$(sort out | tr '\n' ' ')" = "end 1 end 2 " ]
    has q unfinished -eq 3
    [ "$(cano get --json q)" = '{"task":3,"deliveries":1,"item":"3"}' ]
}

@test "Ctrl-C twice ends what runs; its tasks go back as they were" {
    seq 3 | cano put q
    cano work -j 2 q -- sh -c "$cat_when_told" >out 2>said 3>&- &
    worker=$!
    eventually matches 'begin 2' begun
    kill -INT $worker
    eventually matches 'waiting for 2 that run' said
    kill -INT $worker
    ends_with 130 $worker
    [ ! -s out ]
    [ "$(cano get --all --json q | sed 's/.*"deliveries":\([0-9]*\).*/\1/' | tr '\n' ' ')" = "1 1 1 " ]
}

@test "join waits for the last task" {
    seq 2 | cano put q
    run cano join --json --timeout 0.1 q
    [ "$status" -eq 1 ]
    [ "$output" = '{"queue":"q","done":false,"unfinished":2}' ]
    cano join q 3>&- &
    joiner=$!
    cano work -q q -- true
    ends_with 0 $joiner
    [ "$(cano join --json q)" = '{"queue":"q","done":true,"unfinished":0}' ]
}

@test "the same as xargs while commands are killed all the time" {
    list_files 200 >files
    xargs -d '\n' -n 1 cksum <files | sort >expected
    cano put q files
    cano work -q -j 3 --retries 1000 q -- sh -c 'sleep 0.01; exec cksum "$1"' sh {} >out 2>/dev/null 3>&- &
    worker=$!
    kills=0
    while ! is_gone $worker; do
        for victim in $(cat /proc/$worker/task/*/children 2>/dev/null || pgrep -P $worker); do
            ! kill -KILL "$victim" 2>/dev/null || kills=$((kills + 1))
            break
        done
        sleep 0.02
    done
    ends_with 0 $worker
    sort out | cmp - expected
    echo "# $(wc -l <expected) files, $kills commands killed" >&3
    [ $kills -gt 10 ]
    cano join --timeout 0 q
}

@test "the same as xargs while workers are killed" {
    list_files 400 >files
    xargs -d '\n' -n 1 cksum <files | sort >expected
    cano put --retries 60000 q files
    kills=0
    cano work -q -j 2 q -- cksum >out.0 2>/dev/null 3>&- &
    steady=$!
    while ! is_gone $steady; do
        cano work -q -j 2 q -- cksum >>out.1 2>/dev/null 3>&- &
        victim=$!
        sleep 0.1
        ! kill -KILL $victim 2>/dev/null || kills=$((kills + 1))
        wait $victim || true
    done
    ends_with 0 $steady
    # at least once: a worker killed after it printed and before it said so has its task done again
    sort -u out.0 out.1 | cmp - expected
    echo "# $(wc -l <expected) files, $kills workers killed, $(($(cat out.0 out.1 | wc -l) - $(wc -l <expected))) results twice" >&3
    [ $kills -gt 0 ]
    [ -s out.1 ]
    run cano dead q
    [ "$status" -eq 1 ]
}
