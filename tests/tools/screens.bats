# SPDX-License-Identifier: Apache-2.0
# top and work on a terminal of 80 columns and 24 rows, as tmux shows it.
load helper

# Each test has a server of its own.
tmux_do()
{
    TMUX_TMPDIR=$BATS_TEST_TMPDIR "$TMUX_PROGRAM" -L cano -f /dev/null "$@" 3>&-
}

teardown()
{
    tmux_do kill-server 2>/dev/null || true
    end_jobs
}

# Run a command line on a screen of its own, which stays when it ends.
on_screen()
{
    tmux_do new-session -d -x 80 -y 24 -s screen "$1; echo \"[status \$?]\"; cat" ';' set -g status off
}

screen()
{
    tmux_do capture-pane -p -t screen
}

shows()
{
    screen | grep -q -e "$1"
}

first_pane_shows()
{
    tmux_do capture-pane -p -t screen.0 | grep -q -e "$1"
}

press()
{
    tmux_do send-keys -t screen "$@"
}

@test "top: queues, who holds what, keys" {
    for queue in alpha beta gamma; do
        seq 20 | cano put $queue
    done
    mkfifo answers
    cano get --ack beta <answers >got 3>&- &
    holder=$!
    exec 9>answers
    eventually matches 1 got
    on_screen '"$CANO" top --interval 0.1'
    eventually shows '^> alpha  *20  *20  *0  *0 '
    eventually shows '^  beta  *19  *20  *1  *0 '
    [ "$(screen | head -n 1 | cut -c 1-8)" = "cano top" ]
    [ "$(screen | wc -l)" -eq 24 ]
    [ "$(screen | awk 'length > 80' | wc -l)" -eq 0 ]
    screen | tail -n 1 | grep -q '^up, down: choose'
    press Down
    eventually shows '^> beta'
    eventually shows "$holder  *cano *getter *1"
    eventually shows 'task 1, delivery 1, in hand [0-9.]*s: 1'
    eventually shows '█████'
    press j
    eventually shows '^> gamma'
    press Up Up Up
    eventually shows '^> alpha'
    seq 5 | cano put alpha
    eventually shows '^> alpha  *25  *25 '
    press q
    eventually shows '\[status 0\]'
    kill $holder
    exec 9>&-
}

@test "top: more queues and tasks than rows" {
    for i in $(seq -w 40); do
        cano put "queue-$i" </dev/null
    done
    seq 60 | cano put --retries 0 queue-00
    cano work -q queue-00 -- false || true
    on_screen '"$CANO" top --interval 0.1'
    eventually shows '^> queue-00'
    eventually shows 'task 1, delivery 1, dead'
    [ "$(screen | wc -l)" -eq 24 ]
    screen | tail -n 1 | grep -q '^up, down: choose'
    press PageDown PageDown
    eventually shows 'task 20, '
    ! shows 'task 1, '
    press PageUp PageUp
    eventually shows 'task 1, '
    for i in $(seq 30); do
        press Down
    done
    eventually shows '^> queue-30'
    press C-c
    eventually shows '\[status 0\]'
}

@test "top: plain letters where there is no UTF-8" {
    seq 20 | cano put q
    on_screen 'LC_ALL=C "$CANO" top --interval 0.05'
    eventually shows '^> q .*@@@@'
    press q
    eventually shows '\[status 0\]'
}

@test "work: lines above a bar with rate and time left" {
    seq 40 | cano put q
    on_screen '"$CANO" work -j 2 --retries 0 q -- sh -c "sleep 0.1; echo line {}; [ {} != 5 ]"'
    eventually shows '^line 10$'
    eventually shows '^\[##*\.\.*\] [0-9]*/40 done, [0-9.]*/s, [0-9.]*s left, 1 dead$'
    eventually shows "^cano work: '5': exit status 1"
    [ "$(screen | awk 'length > 80' | wc -l)" -eq 0 ]
    eventually shows '\[status 1\]'
    shows '^cano work: 39 done, 0 retried, 1 dead in '
    [ "$(screen | grep -c '^\[#')" -eq 0 ]
}

@test "work: Ctrl-C on the terminal drains, and does not reach the commands" {
    seq 10 | cano put q
    on_screen '"$CANO" work -j 2 q -- sh -c "touch begun; sleep 0.6; echo done {}"'
    eventually test -e begun
    press C-c
    eventually shows 'no more tasks are taken, waiting for 2 that run'
    eventually shows '\[status 130\]'
    shows '^done 1$'
    shows '^done 2$'
    has q unfinished -eq 8
}

@test "pipe: two terminals" {
    tmux_do new-session -d -x 80 -y 24 -s screen '"$CANO" pipe lesson' ';' set -g status off
    eventually shows "cano connect lesson' in another terminal answers"
    tmux_do split-window -t screen '"$CANO" pipe lesson; echo "[status $?]"; cat'
    eventually shows 'connected with process'
    press 'bom dia' Enter
    eventually first_pane_shows '^bom dia'
    press C-d
    eventually shows '\[status 0\]'
}
