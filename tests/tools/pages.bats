# SPDX-License-Identifier: Apache-2.0
# Completions and manual pages.
load helper

# What bash offers after these words; the last one is being typed.
complete_words()
{
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _cano
    printf '%s\n' "${COMPREPLY[@]}"
}

@test "bash completes commands, options, names, files" {
    source "$COMPLETIONS/cano.bash"
    cano put photos </dev/null
    cano put phones </dev/null
    [ "$(complete_words cano sh)" = shutdown ]
    [ "$(complete_words cano get ph | sort | tr '\n' ' ')" = "phones photos " ]
    [ "$(complete_words cano get --fo)" = --follow ]
    [ "$(complete_words cano --dir "$CANO_DIR" stat pho | wc -l)" -eq 2 ]
    touch picture.jpg
    [ "$(complete_words cano put photos pic)" = picture.jpg ]
    [ "$(complete_words cano get --timeout 3 phot)" = photos ]
    [ "$(complete_words cano help wo)" = work ]
    complete_words cano work photos -- ech | grep -q -x echo
    complete_words cano put --bytes pict | grep -q -x picture.jpg
}

@test "zsh and fish read their completions" {
    checked=0
    if command -v zsh >/dev/null; then
        zsh -n "$COMPLETIONS/_cano"
        checked=$((checked + 1))
    fi
    if command -v fish >/dev/null; then
        fish -n "$COMPLETIONS/cano.fish"
        [ "$(fish -c "source $COMPLETIONS/cano.fish; complete -C 'cano shut'" | cut -f 1)" = shutdown ]
        checked=$((checked + 1))
    fi
    [ $checked -gt 0 ] || skip "neither zsh nor fish is here"
}

@test "manual pages are sound, and tell of every command and option" {
    for page in cano cano-queue cano-work cano-inspect cano-pipe; do
        cano help --man $page >$page.1
        sed 's/\\//g' $page.1 >$page.txt
        if command -v mandoc >/dev/null; then
            mandoc -T lint -W error $page.1
        fi
    done
    for command in put get peek shutdown rm work join dead ls stat top who doctor trace pipe listen connect bench help; do
        page=$(sed -n "s/^fB${command}fR (see fB\(.*\)fR(1))/\1/p" cano.txt)
        matches "^\.SH cano $command" $page.txt
        for option in $(cano "$command" --help | sed -n '/^Options/,/^Exit/s/^.*--\([a-z]*\).*/\1/p'); do
            matches "fB--$option" $page.txt
        done
    done
}
