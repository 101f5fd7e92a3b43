# SPDX-License-Identifier: Apache-2.0
# pipe, listen, connect: two who talk.
load helper

# Two ends that are fed by fifos; what they say is in one.out and two.out.
start_two()
{
    mkfifo one.in two.in
    "$CANO" "${@:1:2}" <one.in >one.out 2>one.err 3>&- &
    one=$!
    exec 8>one.in
    eventually sh -c "\"$CANO\" ls --names | grep -q talk"
    "$CANO" "${@:3:2}" <two.in >two.out 2>two.err 3>&- 8>&- &
    two=$!
    exec 9>two.in
}

@test "two talk through a name, line by line" {
    start_two listen talk connect talk
    echo 'bom dia' >&8
    eventually matches 'bom dia' two.out
    echo 'tudo bem?' >&9
    eventually matches 'tudo bem?' one.out
    echo tudo >&8
    eventually matches tudo two.out
    exec 8>&-
    ends_with 0 $one
    ends_with 0 $two
    [ "$(cat two.out)" = "$(printf 'bom dia\ntudo')" ]
    [ "$(cat one.out)" = 'tudo bem?' ]
    exec 9>&-
    [ -z "$(cano ls --names)" ]
}

@test "pipe: whoever comes first listens" {
    start_two pipe talk pipe talk
    echo a >&9
    eventually matches a one.out
    echo b >&8
    eventually matches b two.out
    exec 9>&-
    ends_with 0 $two
    ends_with 0 $one
    exec 8>&-
}

@test "connect waits for a listener" {
    echo hello | cano connect talk 3>&- &
    connector=$!
    cano listen talk </dev/null --linger 20 >out
    ends_with 0 $connector
    [ "$(cat out)" = hello ]
}

@test "what was said before the end is heard" {
    seq 2000 >lines
    cano listen talk <lines >one.out 3>&- &
    cano connect --linger 20 talk </dev/null >two.out
    wait $!
    cmp two.out lines
}

@test "an answer to one line" {
    mkfifo answer
    cano listen talk <answer >question 3>&- &
    exec 9>answer
    echo ping | cano connect --linger 20 talk >got 3>&- 9>&- &
    asker=$!
    eventually matches ping question
    echo pong >&9
    exec 9>&-
    ends_with 0 $asker
    [ "$(cat got)" = pong ]
}

@test "messages of any bytes with -0, large ones too, and in JSON" {
    head -c 3000000 /dev/zero | tr '\0' x >long
    (printf 'a\nb\0'; cat long; printf '\0') >in
    cano listen -0 talk <in 3>&- &
    cano connect -0 --linger 20 talk </dev/null | cmp - in
    wait $!
    echo 'a"b' | cano listen talk 3>&- &
    [ "$(cano connect --json --linger 20 talk </dev/null)" = '{"message":"a\"b"}' ]
}

@test "an end that is killed ends the conversation for the other" {
    start_two listen talk connect talk
    echo there >&9
    eventually matches there one.out
    kill -KILL $two
    wait $two || true
    ends_with 0 $one
    exec 8>&- 9>&-
}

@test "nobody comes in time" {
    run cano listen --timeout 0.1 talk </dev/null
    [ "$status" -eq 1 ]
    run cano connect --timeout 0.1 talk </dev/null
    [ "$status" -eq 1 ]
    run cano pipe --timeout 0.1 talk </dev/null
    [ "$status" -eq 1 ]
    [ -z "$(ls -A "$CANO_DIR")" ]
}

@test "Ctrl-C frees the name" {
    cano listen talk </dev/null 3>&- &
    eventually cano stat talk
    kill -INT $!
    ends_with 130 $!
    [ -z "$(ls -A "$CANO_DIR")" ]
}

@test "only one may listen" {
    cano listen talk </dev/null 3>&- &
    eventually cano stat talk
    run --separate-stderr cano listen talk </dev/null
    [ "$status" -eq 3 ]
    [[ $stderr == *"somebody else listens there; 'cano connect' talks to them"* ]]
}
