# SPDX-License-Identifier: Apache-2.0
# put, get, peek, shutdown, rm: what goes in comes out.
load helper

@test "lines go in and come out in order" {
    printf 'one\ntwo\nthree\n' | cano put q
    [ "$(cano get q)" = one ]
    [ "$(cano get -n 2 q)" = "$(printf 'two\nthree')" ]
    run cano get q
    [ "$status" -eq 1 ]
    [ -z "$output" ]
}

@test "a last line without its end is an item, an empty line too, no line none" {
    printf 'a\n\nb' | cano put q
    cano put q </dev/null
    [ "$(number q items)" -eq 3 ]
    cano get --all q >out
    printf 'a\n\nb\n' | cmp - out
}

@test "items of any bytes with -0" {
    printf 'a\nb\0c d\0\0' >in
    cano put -0 q in
    cano get --all -0 q | cmp - in
}

@test "several files, and standard input among them" {
    echo 1 >first
    echo 3 >third
    echo 2 | cano put q first - third
    [ "$(cano get --all q | tr '\n' ' ')" = "1 2 3 " ]
}

@test "whole files" {
    printf 'two\nlines\n' >first
    : >empty
    head -c 100000 /dev/urandom >large
    cano put --whole q first empty large
    [ "$(number q items)" -eq 3 ]
    cano get -0 q | cmp - <(cat first && printf '\0')
    cano get -0 q | cmp - <(printf '\0')
    cano get -0 q | head -c 100000 | cmp - large
}

@test "what was read is put before more is waited for" {
    mkfifo slow
    cano put q <slow 3>&- &
    exec 9>slow
    echo first >&9
    eventually has q items -eq 1
    [ "$(cano get q)" = first ]
    exec 9>&-
    wait $!
}

@test "ten thousand items, many at one time, each once" {
    seq 10000 | cano put --items 10000 q
    for i in 1 2 3; do
        cano get --all q >out.$i &
    done
    wait
    cat out.* | sort -n | cmp - <(seq 10000)
}

@test "a full queue makes put wait, and say so" {
    seq 3 | cano put --items 2 q 2>said 3>&- &
    eventually matches "'q' is full" said
    matches "waits for room" said
    matches "cano work q" said
    [ "$(cano get -n 3 --timeout 10 q | tr '\n' ' ')" = "1 2 3 " ]
    wait $!
    [ "$(wc -l <said)" -eq 1 ]
}

@test "put gives up in time" {
    run --separate-stderr cano put --items 2 --timeout 0.1 q < <(seq 5)
    [ "$status" -eq 1 ]
    [[ $stderr == *"had no room for 0.1s; 2 items were put"* ]]
}

@test "put says how much in JSON" {
    run cano put --json q < <(seq 5)
    [ "$output" = '{"queue":"q","put":5}' ]
}

@test "an item larger than the queue takes" {
    head -c 2000 /dev/zero | tr '\0' x >long
    run --separate-stderr cano put --bytes 1K q long
    [ "$status" -eq 3 ]
    [[ $stderr == *"long: item 1 is larger than 'q' takes (1.0K); make a queue with larger --bytes"* ]]
    (echo fits && cat long && echo) | { run --separate-stderr cano put q; [ "$status" -eq 3 ]; }
    [ "$(cano get q)" = fits ]
}

@test "a file that cannot be read" {
    run --separate-stderr cano put q nowhere
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot open nowhere: No such file"* ]]
    mkdir folder
    run --separate-stderr cano put q folder
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot read folder"* ]]
}

@test "limits are kept, and must agree" {
    cano put --items 7 --bytes 2K --participants 3 --leases 5 --retries 2 q </dev/null
    run cano stat --json q
    [[ $output == *'"limits":{"items":7,"bytes":2048,"participants":3,"leases":5,"deliveries":3,'* ]]
    cano put q </dev/null
    cano put --items 7 --retries 2 q </dev/null
    run --separate-stderr cano put --items 8 q </dev/null
    [ "$status" -eq 3 ]
    [[ $stderr == *"it was made with other limits: --items 7 --bytes 2048"* ]]
}

@test "get waits as long as it is told" {
    cano put q </dev/null
    run cano get --timeout 0.2 q
    [ "$status" -eq 1 ]
    cano get --timeout 20 q >out 3>&- &
    eventually has q participants -eq 1
    echo late | cano put q
    wait $!
    [ "$(cat out)" = late ]
}

@test "get --follow prints what comes until the queue is shut down" {
    cano put q </dev/null
    cano get --follow q >out 3>&- &
    getter=$!
    echo one | cano put q
    eventually matches one out
    echo two | cano put q
    cano shutdown q
    ends_with 0 $getter
    [ "$(cat out)" = "$(printf 'one\ntwo')" ]
}

@test "an item that cannot be written goes back" {
    seq 3 | cano put q
    run --separate-stderr bash -c '"$CANO" get --all q >/dev/full'
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot write to standard output: No space left"* ]]
    [ "$(cano get --all q | sort | tr '\n' ' ')" = "1 2 3 " ]
}

@test "a task is done once it is written" {
    seq 3 | cano put q
    cano get -n 2 q
    [ "$(number q unfinished)" -eq 1 ]
    run cano join --timeout 0 q
    [ "$status" -eq 1 ]
    cano get q
    cano join --timeout 0 q
}

@test "get --ack waits for an answer to each item" {
    seq 5 | cano put q
    printf '\nok\nno\nok\n' | cano get --ack --all q >out
    # 1 done, 2 done, 3 given back and got again, then done; 4 has no answer and goes back
    [ "$(tr '\n' ' ' <out)" = "1 2 3 3 4 " ]
    [ "$(cano get --all --json q | sed 's/.*"deliveries":\([0-9]*\),"item":"\([0-9]*\)".*/\2:\1/' | sort | tr '\n' ' ')" = "4:2 5:1 " ]
}

@test "an item whose reader is killed goes to the next" {
    seq 1 | cano put q
    mkfifo answers
    cano get --ack q <answers >out 3>&- &
    exec 9>answers
    eventually matches 1 out
    kill -KILL $!
    wait $! || true
    exec 9>&-
    [ "$(cano get --json --timeout 10 q)" = '{"task":1,"deliveries":2,"item":"1"}' ]
}

@test "bytes that are no text are base64 in JSON" {
    printf 'a\377\0b"\\\n' >bytes
    cano put --whole q bytes
    [ "$(cano get --json q)" = '{"task":1,"deliveries":1,"item_base64":"Yf8AYiJcCg=="}' ]
    printf 'a"\\\tñ\n' | cano put q
    [ "$(cano get --json q)" = '{"task":2,"deliveries":1,"item":"a\"\\\u0009ñ"}' ]
}

@test "peek leaves the item" {
    seq 2 | cano put q
    [ "$(cano peek q)" = 1 ]
    [ "$(cano peek --json q)" = '{"item":"1"}' ]
    [ "$(number q items)" -eq 2 ]
    head -c 100000 /dev/zero | tr '\0' x >long
    cano put --whole big long
    cano peek big | head -c 100000 | cmp - long
    cano get --all big >/dev/null
    run cano peek big
    [ "$status" -eq 1 ]
}

@test "after shutdown nothing is put and what is there may be got" {
    seq 3 | cano put q
    cano shutdown q
    run --separate-stderr cano put q < <(echo 4)
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot put into 'q': it was shut down; 'cano rm q' frees the name"* ]]
    [ "$(cano get --all q | wc -l)" -eq 3 ]
    run cano get q
    [ "$status" -eq 1 ]
}

@test "shutdown --immediate discards what is there" {
    seq 3 | cano put q
    cano shutdown --immediate q
    run cano get q
    [ "$status" -eq 1 ]
    cano join --timeout 0 q
}

@test "rm frees names" {
    cano put a </dev/null
    cano put b </dev/null
    cano rm a b
    run --separate-stderr cano rm a
    [ "$status" -eq 3 ]
    [[ $stderr == *"cannot remove 'a': there is nothing of that name in $CANO_DIR"* ]]
    cano rm --force a
    cano put c </dev/null
    run cano rm a c
    [ "$status" -eq 3 ]
    run cano get c
    [ "$status" -eq 3 ]
}

@test "names live where --dir says" {
    mkdir elsewhere
    echo x | cano put --dir elsewhere q
    run cano get q
    [ "$status" -eq 3 ]
    [ "$(cano --dir elsewhere get q)" = x ]
    echo y | cano --dir=elsewhere put q
    [ "$(cano get q --dir elsewhere)" = y ]
}
