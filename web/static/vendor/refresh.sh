#!/bin/sh
# Fetch the front-end libraries again, at the versions below, from the npm registry that npm is configured for.
# Needs npm and tar; changes only files beside itself and tests/browser/vendor. To raise a version: change it here,
# run this, change README.md and the paths in web/templates and web/icons.py, run the browser tests.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tests="$here/../../../tests/browser/vendor"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fetch() { # package version -> $scratch/package
    rm -rf "$scratch/package"
    (cd "$scratch" && npm pack --silent "$1@$2" | tail -n 1 | xargs -I{} tar xzf {})
}

keep() { # package version folder file...
    fetch "$1" "$2"
    folder=$3
    shift 3
    rm -rf "$folder"
    mkdir -p "$folder"
    for file in "$@"; do cp "$scratch/package/$file" "$folder/"; done
}

keep @tabler/core 1.6.1 "$here/tabler-1.6.1" dist/css/tabler.min.css dist/js/tabler.min.js
cp "$here/licences/tabler.txt" "$here/tabler-1.6.1/LICENSE"
keep htmx.org 2.0.11 "$here/htmx-2.0.11" dist/htmx.min.js LICENSE
keep idiomorph 0.8.0 "$here/idiomorph-0.8.0" dist/idiomorph-ext.min.js LICENSE
keep @alpinejs/csp 3.17.4 "$here/alpine-csp-3.17.4" dist/cdn.min.js
cp "$here/licences/alpine.txt" "$here/alpine-csp-3.17.4/LICENSE"
keep cytoscape 3.34.4 "$here/cytoscape-3.34.4" dist/cytoscape.min.js LICENSE
keep echarts 6.1.0 "$here/echarts-6.1.0" dist/echarts.common.min.js LICENSE NOTICE
keep @json-editor/json-editor 2.17.2 "$here/json-editor-2.17.2" dist/jsoneditor.js dist/jsoneditor.js.LICENSE.txt LICENSE
keep cronstrue 3.39.0 "$here/cronstrue-3.39.0" dist/cronstrue.min.js LICENSE
keep @fontsource-variable/inter 5.3.0 "$here/inter-5.3.0" files/inter-latin-wght-normal.woff2 files/inter-latin-ext-wght-normal.woff2 LICENSE
keep axe-core 4.14.1 "$tests/axe-core-4.14.1" axe.min.js LICENSE LICENSE-3RD-PARTY.txt

fetch @tabler/icons 3.51.0
icons="$here/tabler-icons-3.51.0"
rm -rf "$icons"
mkdir -p "$icons"
cp "$scratch/package/LICENSE" "$icons/"
while read -r name; do cp "$scratch/package/icons/outline/$name.svg" "$icons/$name.svg"; done < "$here/icons.txt"
