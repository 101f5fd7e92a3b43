# SPDX-License-Identifier: Apache-2.0
# bash completion for cano. Written by 'cano help --completion bash'.
_cano()
{
    local cur=${COMP_WORDS[COMP_CWORD]} command= dir=() operands=0 dashes= value= kind= options= valued= i word
    local commands="put get peek shutdown rm work join dead ls stat top who doctor trace pipe listen connect bench help"
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == --dir ]]; then
            dir=(--dir "${COMP_WORDS[++i]}")
        elif [[ -z $command && $word != -* ]]; then
            command=$word
            case $command in
            put) kind=files options=" -0 --null -w --whole --timeout --retries --items --bytes --participants --leases --dir --json --help" valued="|--timeout|--retries|--items|--bytes|--participants|--leases|--dir|" ;;
            get) kind=queue options=" -n --count --all -f --follow --timeout --ack -0 --null --dir --json --help" valued="|--count|-n|--timeout|--dir|" ;;
            peek) kind=queue options=" --timeout -0 --null --dir --json --help" valued="|--timeout|--dir|" ;;
            shutdown) kind=queue options=" -i --immediate --dir --help" valued="|--dir|" ;;
            rm) kind=queue options=" -f --force --dir --help" valued="|--dir|" ;;
            work) kind=command options=" -j --jobs --retries --timeout --delay --follow --stream -q --quiet --items --bytes --participants --leases --dir --json --help" valued="|--jobs|-j|--retries|--timeout|--delay|--items|--bytes|--participants|--leases|--dir|" ;;
            join) kind=queue options=" --timeout --dir --json --help" valued="|--timeout|--dir|" ;;
            dead) kind=queue options=" -r --retry -d --drop -0 --null --dir --json --help" valued="|--dir|" ;;
            ls) kind=none options=" --names --dir --json --help" valued="|--dir|" ;;
            stat) kind=queue options=" --dir --json --help" valued="|--dir|" ;;
            top) kind=queue options=" --interval -n --count --dir --json --help" valued="|--interval|--count|-n|--dir|" ;;
            who) kind=queue options=" --dir --json --help" valued="|--dir|" ;;
            doctor) kind=queue options=" -r --repair --dir --json --help" valued="|--dir|" ;;
            trace) kind=queue options=" --for --interval --dir --json --help" valued="|--for|--interval|--dir|" ;;
            pipe) kind=queue options=" --timeout --linger -0 --null --dir --json --help" valued="|--timeout|--linger|--dir|" ;;
            listen) kind=queue options=" --timeout --linger -0 --null --dir --json --help" valued="|--timeout|--linger|--dir|" ;;
            connect) kind=queue options=" --timeout --linger -0 --null --dir --json --help" valued="|--timeout|--linger|--dir|" ;;
            bench) kind=none options=" --dir --help" valued="|--dir|" ;;
            help) kind=commands options=" --man --completion --dir --help" valued="|--man|--completion|--dir|" ;;
            esac
        elif [[ $word == -- ]]; then
            dashes=yes
        elif [[ $valued == *"|$word|"* ]]; then
            ((++i))
        elif [[ $word != -* ]]; then
            ((++operands))
        fi
    done
    [[ $i -gt $COMP_CWORD ]] && value=yes
    if [[ $value ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "$commands --dir --help --version" -- "$cur"))
    elif [[ $dashes ]]; then
        COMPREPLY=($(compgen -c -f -- "$cur"))
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ $kind == commands ]]; then
        COMPREPLY=($(compgen -W "$commands" -- "$cur"))
    elif [[ $operands -eq 0 && $kind != none ]]; then
        COMPREPLY=($(compgen -W "$(cano ls --names "${dir[@]}" 2>/dev/null)" -- "$cur"))
    elif [[ $kind == files ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}
complete -o filenames -F _cano cano
