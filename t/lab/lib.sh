# What the scripts of the lab share.  Sourced; $0 is the caller, in t/lab.
# shellcheck shell=sh

set -eu
export LC_ALL=C

LABDIR=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
SRCDIR=${LABDIR%/t/lab}
BUILDDIR=${BUILDDIR:-$SRCDIR/build}
mkdir -p "$BUILDDIR/lab"
BUILDDIR=$(CDPATH='' cd -- "$BUILDDIR" && pwd)
CACHE=$BUILDDIR/lab
KERNEL=$CACHE/kernel
EMULATOR=$CACHE/emulator/qemu-system-x86_64

PROG=lab/${0##*/}

die()
{
	printf '%s: %s\n' "$PROG" "$*" >&2
	exit "${STATUS:-125}"
}

need()
{
	for tool; do
		command -v "$tool" >/dev/null ||
		    die "$tool is missing: install what t/lab/packages lists"
	done
}

# Archive a directory as an initramfs.  The kernel accepts several archives
# one after another, each padded to its 512 byte blocks by cpio itself.
archive()
{
	(cd "$1" && find . -mindepth 1 | sort | cpio -o -H newc -R 0:0 --quiet)
}

# An empty root with Debian's merged /usr.  Every archive starts with these
# same links: a later archive holding "lib" as a directory would make the
# kernel unlink the link of an earlier one.
new_root()
{
	mkdir -p "$1/usr/bin" "$1/usr/sbin" "$1/usr/lib" "$1/usr/lib64"
	for dir in bin sbin lib lib64; do
		ln -s "usr/$dir" "$1/$dir"
	done
}

# add_modules ROOT NAME...: copy kernel modules and what they depend on,
# printing their paths in loading order.
add_modules()
{
	root=$1
	shift
	release=$(cat "$KERNEL/release")
	for name; do
		modprobe -d "$KERNEL" -S "$release" -D "$name" |
		    sed -n "s|^insmod $KERNEL||p"
	done | awk '!seen[$1]++ { print $1 }' | while read -r path; do
		mkdir -p "$root${path%/*}"
		cp "$KERNEL$path" "$root$path"
		echo "$path"
	done
}

# add_libs ROOT FILE...: copy the shared libraries of programs, flat into the
# directory that the loader searches without a cache.
add_libs()
{
	libs=$1/usr/lib/x86_64-linux-gnu
	mkdir -p "$libs"
	shift
	ldd "$@" 2>/dev/null | awk '
	    $2 == "=>" && $3 ~ /^\// { print $1, $3 }
	    $1 ~ /^\/.*\/ld-linux/ { print "ld", $1 }' | sort -u |
	while read -r name path; do
		case $name in
		ld)	cp -L "$path" "${libs%/*/*}/lib64/" ;;
		*)	cp -L "$path" "$libs/$name" ;;
		esac
	done
}
