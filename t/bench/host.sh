# What the groups share in the emulated host.  Sourced after the lab's lib.sh.
# shellcheck shell=sh

# Of every guest, ours and the peer's; nothing that skips what a kernel does.
CMDLINE='console=ttyS0 panic=-1'

INITRD=/bench/initrd

truncate -s 16M /tmp/disk.img

# config BACKEND [WORD]...: one guest; WORDs go to its command line, too.
config()
{
	printf '[daemon]\nbackend = %s\n\n[vm bench]\nautostart = no\n' "$1"
	printf 'kernel = /bench/vmlinuz\ninitrd = %s\n' "$INITRD"
	printf 'memory = 256M\ndisk = /tmp/disk.img\non-reboot = stop\n'
	# The peer has none either.
	printf 'rng = no\n'
	shift
	echo "cmdline = $CMDLINE $*"
}

unload_backend()
{
	case $1 in
	vmm)	rmmod vmm || die 'the module does not unload' ;;
	kvm)	rmmod kvm_amd kvm || die 'kvm_amd does not unload' ;;
	esac
}
