#!/bin/sh
# Shows that the README's commands are all that a bare machine needs: a minimal Debian with Python and git in a temporary
# directory, a clone of the committed state, an ordinary user. By hand, as root; minutes, and some 400 MB in TMPDIR.
# Usage: tests/system/bare_machine.sh [COMMAND ...]
#   tests/system/bare_machine.sh                  the README's two commands
#   tests/system/bare_machine.sh 'script/setup'   these commands instead
#   SUITE=trixie tests/system/bare_machine.sh     another Debian than this machine's own
# Mirror, name servers, certificates and environment are this machine's. After the commands, setup runs once more with
# the network cut off.
set -eu

[ "$(id -u)" = 0 ] || { echo "debootstrap and chroot need root." >&2 && exit 77; }
command -v debootstrap >/dev/null || { echo "needs debootstrap: apt install debootstrap" >&2 && exit 69; }
[ $# != 0 ] || set -- 'script/demo --for 20' script/test

checkout=$(dirname "$0")/../..
# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016 # apt's own variable
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $codename" "Component: main" | head -n 1)
root=$(mktemp -d)
chmod 755 "$root"
trap 'rm -rf --one-file-system "$root"' EXIT

echo "== debootstrap ${SUITE:-$codename} into $root"
debootstrap --variant=minbase --include=python3,git,ca-certificates "${SUITE:-$codename}" "$root" "$mirror" >"$root.log" ||
    { tail "$root.log" && exit 1; }
rm "$root.log"
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e $file ] || cp --dereference $file "$root$file"
done
git clone --quiet "$checkout" "$root/home/visitor/ntp_usg"
chown -R 1000:1000 "$root/home/visitor"
echo "visitor:x:1000:1000::/home/visitor:/bin/sh" >>"$root/etc/passwd"

# The mounts live in a namespace of their own and vanish with it, before the directory is removed.
# shellcheck disable=SC2016,SC2086 # $1 and $2 belong to the inner shell; $offline may be no word at all
visit() {
    unshare --mount --pid --fork --kill-child $offline sh -c '
        mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" &&
        exec chroot --userspec=1000:1000 "$1" env --unset=CI HOME=/home/visitor PATH=/usr/local/bin:/usr/bin:/bin \
            sh -c "cd ~/ntp_usg && $2"' visit "$root" "$1"
}

run() {
    printf '\n== %s\n' "$1"
    start=$(date +%s)
    visit "$1" && result="exit 0" || result="exit $?"
    report="$report$(printf '%-24s %s, %s s' "$1" "$result" $(($(date +%s) - start)))
"
}

report=
offline=
for command in "$@"; do
    run "$command"
done
offline=--net
run script/setup
printf '\n== On a bare machine (the last line without a network)\n%s' "$report"
! echo "$report" | grep -q 'exit [1-9]'
