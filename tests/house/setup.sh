#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What scripts/setup asks of each package manager, on a machine made of fakes: nothing is installed here.
#   sh setup.sh ROOT-OF-CANO
set -u
root=$1
machine=$(mktemp -d)
trap 'rm -rf "$machine"' EXIT
failures=0

check()
{
    if ! eval "$2"; then
        echo "FAILED: $1: $2"
        sed 's/^/    said: /' "$machine/said"
        sed 's/^/    ran: /' "$machine/ran"
        failures=$((failures + 1))
    fi
}

fake()
{
    cat >"$machine/bin/$1" && chmod +x "$machine/bin/$1"
}

# A machine with a shell and no tools, with one package manager whose install brings the tools, CMake in the version given.
new_machine()
{
    rm -rf "${machine:?}/bin"
    mkdir "$machine/bin"
    : >"$machine/ran"
    for tool in sh env cat awk mktemp rm dirname head chmod; do
        ln -s "$(command -v $tool)" "$machine/bin/$tool"
    done
    fake id <<END
echo ${3:-0}
END
    fake sudo <<END
echo "sudo \$*" >>"$machine/ran"
exec "\$@"
END
    [ -z "$1" ] || fake "$1" <<END
[ "\$1" != --prefix ] || exit 0
echo "$1 \$*" >>"$machine/ran"
case "\$*" in *cmake*) for tool in cc ninja pkg-config python3; do
    echo "exit 0" >"$machine/bin/\$tool"; chmod +x "$machine/bin/\$tool"; done
    echo "echo cmake version $2" >"$machine/bin/cmake"; chmod +x "$machine/bin/cmake" ;;
esac
END
    [ "$1" != brew ] || fake cc <<END # Apple's compiler, and nothing to link with before brew has run
case "\$*" in *apr*|*cunit*) exec cmake --version ;; esac
END
}

setup()
{
    env -i PATH="$machine/bin" TMPDIR="${TMPDIR:-/tmp}" sh "$root/scripts/setup" "$@" >"$machine/said" 2>&1
}

said()
{
    grep -q -e "$1" "$machine/said"
}

ran()
{
    grep -q -x -e "$1" "$machine/ran"
}

packages_apt="gcc libc6-dev cmake ninja-build pkg-config libapr1-dev libcunit1-dev python3"
new_machine apt-get 3.25.1
check "apt" setup
check "apt updates first" '[ "$(head -n 1 "$machine/ran")" = "apt-get update -q" ]'
check "apt installs" 'ran "apt-get install -q -y --no-install-recommends $packages_apt"'
check "apt says so" 'said "apt-get install" && said "setup: done"'
: >"$machine/ran"
check "a second run" 'setup && [ "$(cat "$machine/said")" = "setup: nothing is missing" ] && [ ! -s "$machine/ran" ]'

new_machine apt-get 3.25.1 1000
check "apt for a user" 'setup && ran "sudo apt-get update -q"'
rm "$machine/bin/sudo" "$machine/bin/ninja"
fake ninja <<END
exit 1
END
check "no sudo" '! setup && said "as root: apt-get"'

new_machine dnf 3.28.0
check "dnf" 'setup && ran "dnf install -q -y gcc cmake ninja-build pkgconf-pkg-config apr-devel CUnit-devel python3"'
new_machine pacman 4.1.0
check "pacman" 'setup && ran "pacman -Sy --needed --noconfirm gcc cmake ninja pkgconf apr cunit python"'
new_machine brew 3.30.0 501
check "brew, never with sudo" 'setup && ran "brew install -q cmake ninja pkgconf apr cunit python3" && ! ran "sudo.*"'
new_machine brew 3.30.0 501
rm "$machine/bin/cc"
check "brew without a compiler" '! setup && said "xcode-select --install"'

new_machine apt-get 3.22.1
check "an old CMake" '! setup && said "3.25 or newer is needed" && said "3.22.1"'
new_machine ""
check "no package manager" '! setup && said "please install by hand: compiler cmake"'
new_machine apt-get 3.25.1
check "dry" 'setup --dry && [ ! -s "$machine/ran" ] && said "apt-get install"'

[ "$failures" -eq 0 ] && echo "setup: every case as promised"
exit "$failures"
