# The initramfs of the lab's host: three archives one after another, each made
# anew only when what it holds changed.  Sourced by run.
# shellcheck shell=sh disable=SC2154

TAB='	'
MODULES='virtio_pci virtio_blk virtio_console kvm kvm_amd brd loop tun bridge veth
    8021q vrf vhost_net fuse nf_conntrack_bridge nf_conntrack_netlink
    nf_log_syslog nft_chain_nat nft_ct nft_fib_inet nft_fib_ipv4 nft_fib_ipv6
    nft_limit nft_log nft_masq nft_meta_bridge nft_nat'

# What makes the archives is part of their stamps.
script_sum()
{
	cat "$LABDIR/initrd.sh" "$LABDIR/lib.sh" | cksum
}

put_busybox()
{
	cp "$(command -v busybox)" "$1/bin/busybox"
	"$1/bin/busybox" --list-full | while read -r path; do
		case $path in
		*/busybox)	;;
		*)		echo "/bin/busybox $1/$path" ;;
		esac
	done | xargs -n 2 ln -sf
}

put_users()
{
	cat >"$1/etc/passwd" <<-'EOF'
	root:x:0:0:root:/root:/bin/sh
	_vmmd:x:990:990:vmmd:/:/bin/false
	nobody:x:65534:65534:nobody:/:/bin/false
	EOF
	cat >"$1/etc/group" <<-'EOF'
	root:x:0:
	_vmmd:x:990:
	vmm:x:991:_vmmd
	kvm:x:992:_vmmd
	nogroup:x:65534:
	EOF
}

# What no build changes: busybox, modules of the kernel, users.
make_base()
{
	stamp="$(cat "$KERNEL/stamp") $(script_sum)"
	[ "$(cat "$CACHE/base.stamp" 2>/dev/null)" != "$stamp" ] || return 0
	root=$tmp/base
	new_root "$root"
	(cd "$root" && mkdir dev etc lab peers proc root run sys tmp var)
	put_busybox "$root"
	put_users "$root"
	# shellcheck disable=SC2086 # a list of names
	add_modules "$root" $MODULES >/dev/null
	release=$(cat "$KERNEL/release")
	cp "$KERNEL/lib/modules/$release/modules.builtin" \
	    "$KERNEL/lib/modules/$release/modules.builtin.modinfo" \
	    "$KERNEL/lib/modules/$release/modules.order" \
	    "$root/lib/modules/$release/"
	depmod -b "$root" "$release"
	archive "$root" >"$tmp/base.cpio"
	mv "$tmp/base.cpio" "$CACHE/base.cpio"
	echo "$stamp" >"$CACHE/base.stamp"
	rm -rf "$root"
}

# built SOURCE DESTINATION: a line of tree_files if there is such a file.
built()
{
	[ ! -f "$BUILDDIR/$1" ] || echo "$BUILDDIR/$1$TAB$2"
}

# Lines "SOURCE<tab>DESTINATION" of what the build made, and of the tests.
tree_files()
{
	built vmmd /usr/sbin/vmmd
	built vmmctl /usr/bin/vmmctl
	built src/kernel/vmm.ko /lib/modules/vmm.ko
	for file in "$BUILDDIR"/t/lab/*; do
		if [ -f "$file" ] && [ -x "$file" ]; then
			echo "$file$TAB/lab/${file##*/}"
		fi
	done
	for file in "$LABDIR"/tests/*; do
		[ ! -f "$file" ] || echo "$file$TAB/lab/tests/${file##*/}"
	done
}

# What a build changes.
make_tree()
{
	tree_files >"$tmp/tree.list"
	{
		script_sum
		cut -f 1 "$tmp/tree.list" |
		    xargs -rd '\n' stat -L -c '%n %y %s'
	} >"$tmp/tree.stamp"
	! cmp -s "$tmp/tree.stamp" "$CACHE/tree.stamp" || return 0
	root=$tmp/tree
	new_root "$root"
	mkdir -p "$root/lab/tests" "$root/lib/modules"
	# glibc loads this one by name when a thread is cancelled.
	set -- /lib/x86_64-linux-gnu/libgcc_s.so.1
	while IFS=$TAB read -r src dst; do
		cp -L "$src" "$root$dst"
		set -- "$@" "$src"
	done <"$tmp/tree.list"
	add_libs "$root" "$@"
	cp -L "$1" "$root/lib/x86_64-linux-gnu/"
	archive "$root" >"$tmp/tree.cpio"
	mv "$tmp/tree.cpio" "$CACHE/tree.cpio"
	mv "$tmp/tree.stamp" "$CACHE/tree.stamp"
	rm -rf "$root"
}

quote()
{
	for arg; do
		printf %s "$arg" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/' /"
		[ -n "$arg" ] || printf "'' "
	done
}

add_copy()
{
	src=${2%%:*}
	dst=${2#*:}
	case $2 in
	?*:/*)	;;
	*)	STATUS=2 die "--copy $2: want SOURCE:/ABSOLUTE/DESTINATION" ;;
	esac
	[ -e "$src" ] || STATUS=2 die "--copy: $src does not exist"
	mkdir -p "$1${dst%/*}"
	cp -rL "$src" "$1$dst"
	# Not all that runs in the host is root.
	chmod -R a+rwX "$1$dst"
	[ ! -f "$src" ] || add_libs "$1" "$src"
}

# make_run COMMAND...: what this run alone needs.
make_run()
{
	root=$tmp/run
	new_root "$root"
	cp "$LABDIR/init" "$root/init"
	chmod 755 "$root/init"
	[ $# -gt 0 ] || set -- sh -l
	quote "$@" >"$root/lab.command"
	size=$(stty size 2>/dev/null) || size='24 80'
	cat >"$root/lab.conf" <<-EOF
	LAB_PEERS=$peers
	LAB_SHELL=$shell
	LAB_TERM=$(quote "${TERM:-linux}")
	LAB_ROWS=${size% *}
	LAB_COLS=${size#* }
	EOF
	while read -r copy; do
		add_copy "$root" "$copy"
	done <"$tmp/copies"
	archive "$root" >"$tmp/run.cpio"
	rm -rf "$root"
}

# make_initrd OUTPUT COMMAND...
make_initrd()
{
	initrd=$1
	shift
	make_base
	make_tree
	make_run "$@"
	cat "$CACHE/base.cpio" "$CACHE/tree.cpio" "$tmp/run.cpio" >"$initrd"
}
