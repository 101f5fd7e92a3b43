#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The workflow does nothing that the scripts do not do: every command is scripts/test with a target that exists, and what comes
# from others is pinned to a commit.
#   workflow.sh ROOT
set -eu
cd "$1"
file=.github/workflows/ci.yml
fail()
{
    echo "workflow: $*" >&2
    exit 1
}

targets=$(sed -n 's/^ *target: \[\(.*\)\]$/\1/p; s/.*[{ ]target: \([a-z0-9-]*\) .*/\1/p; s/^ *- run: scripts\/test \([a-z0-9-]*\)$/\1/p' "$file" | tr -d ,)
[ -n "$targets" ] || fail "no target in $file"
for target in $targets; do
    [ -f "scripts/test.d/$target" ] || fail "there is no scripts/test.d/$target"
done
if grep -E '^ *(- )?run: ' "$file" | grep -vE 'run: scripts/test ([a-z0-9-]+|\$\{\{ matrix\.target \}\})$'; then
    fail "runs something else than scripts/test"
fi
if grep 'uses:' "$file" | grep -vE 'uses: [^@ ]+@[0-9a-f]{40} '; then
    fail "an action is not pinned to a commit"
fi
if command -v python3 >/dev/null 2>&1 && python3 -c 'import yaml' 2>/dev/null; then
    python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$file" || fail "$file is no YAML"
else
    echo "workflow: not run, Python has no yaml: the syntax of $file"
fi
echo "workflow: $(echo $targets | wc -w) targets, all of them there"
