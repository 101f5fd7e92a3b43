#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The recipes in packaging/ as far as they can be checked without their tools: syntax, the version, what they name exists.
#   packaging.sh ROOT
set -eu
cd "$1"
fail()
{
    echo "packaging: $*" >&2
    exit 1
}

version=$(sed -n 's/^project(cano VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
python3 - "$version" <<'PYTHON' || fail "a recipe is not in order"
import ast, json, sys
manifest = json.load(open("packaging/vcpkg/cano/vcpkg.json"))
assert manifest["version"] == sys.argv[1], "vcpkg.json says version " + manifest["version"]
for recipe in ("packaging/conan/conanfile.py", "packaging/conan/test_package/conanfile.py"):
    ast.parse(open(recipe).read(), recipe)
PYTHON
cmp tests/house/consumer/main.c packaging/conan/test_package/main.c || fail "Conan's test program is not the consumer's"

for option in $(grep -rhoE 'CANO_[A-Z_]+' packaging | sort -u); do
    case $option in
    CANO_OK | CANO_NOW) ;;
    *) grep -q "^option($option " CMakeLists.txt || fail "$option is no option of CMakeLists.txt" ;;
    esac
done
if command -v ruby >/dev/null 2>&1; then
    ruby -c packaging/homebrew/cano.rb
else
    echo "packaging: not run, there is no ruby: the syntax of the formula"
fi
echo "packaging: version $version, in order"
