# Sourced by the tests that t/lab/guests runs, after lib.sh: guests with
# t/lab/guest-test, and what to say and do to them.
# shellcheck shell=sh

SOCKET=/run/vmmd.sock

# guest NAME TEST [WORD...]: the first lines of a section, started by hand.
guest()
{
	printf '[vm %s]\nkernel = /boot/vmlinuz\ninitrd = /boot/initrd\n' "$1"
	printf 'memory = 128M\nautostart = no\non-reboot = stop\n'
	shift
	printf 'cmdline = console=ttyS0 panic=-1 quiet vmmd.run=/bin/guest-test\n'
	test=$1
	shift
	printf 'cmdline = vmmd.test=%s %s\n' "$test" "$*"
}

# Tries five times a second for a minute, or longer where all is slow.
within_a_minute()
{
	for _ in $(seq 300); do
		! "$@" || return 0
		usleep 200000
	done
	return 1
}

shows()
{
	grep -q "$2" "/tmp/$1.console"
}

# says GUEST TEXT: its console shows a line with the text, soon.
says()
{
	within_a_minute shows "$@" && return
	echo "# the console of $1 does not show '$2':"
	tail -n 20 "/tmp/$1.console"
	return 1
}

# booted GUEST TIMES TEXT: its console has seen so many boots, and the last line
# of the last is guest-test's and begins with the text.  A reset may have come
# amid a line.
booted()
{
	[ "$(grep -c 'vmmd-guest: init' "/tmp/$1.console")" = "$2" ] &&
	    sed '1,/vmmd-guest: init/d' "/tmp/$1.console" |
	    tail -n 1 | grep -q "^guest-test: $3"
}

# watch GUEST: its console goes to /tmp/GUEST.console, and what is written to
# /tmp/GUEST.keys is typed at it.
watch()
{
	[ -p "/tmp/$1.keys" ] || mkfifo "/tmp/$1.keys"
	vmmctl console "$1" <"/tmp/$1.keys" >"/tmp/$1.console" &
	sleep 1000000 >"/tmp/$1.keys" &
}

# begin GUEST TEXT: starts it, and waits until it says so.
begin()
{
	vmmctl start "$1" || return
	watch "$1"
	says "$1" "$2"
}

# ended GUEST REASON: waits for the end of a guest.
ended()
{
	reason=$(vmmctl wait "$1" 2>"/tmp/$1.message")
	[ "$reason" = "$2" ] && return
	echo "# $1 ended by '$reason', not by $2: $(cat "/tmp/$1.message")"
	tail -n 20 "/tmp/$1.console"
	return 1
}

# logged TEXT: the daemon has said so, or says it soon.
in_log()
{
	grep -q "$1" "$VMMD_LOG"
}

logged()
{
	within_a_minute in_log "$1"
}

# fails TEXT COMMAND...: it does, and says why in one line.
fails()
{
	text=$1
	shift
	if "$@" >/tmp/failed 2>&1; then
		echo "# '$*' should have failed"
		return 1
	fi
	[ "$(grep -c '' /tmp/failed)" = 1 ] && grep -q "$text" /tmp/failed &&
	    return
	echo "# '$*' does not say '$text':"
	cat /tmp/failed
	return 1
}

# A disk of so many MiB of random bytes.
random_disk()
{
	dd if=/dev/urandom of="$1" bs=1M count="$2" status=none
}

state_is()
{
	[ "$(field "$1" state)" = "$2" ]
}

# tiny_kernel FILE CODE: the smallest bzImage that is taken for one, with the
# code, in escapes of printf, at its entry.
tiny_kernel()
{
	truncate -s 0 "$1" && truncate -s 2048 "$1"
	poke "$1" $((0x1f1)) '\001'		# sectors of real-mode code
	poke "$1" $((0x1f4)) '\100'		# paragraphs of the rest
	poke "$1" $((0x1fe)) '\125\252'
	poke "$1" $((0x201)) '\152HdrS\017\002'	# protocol 2.15
	poke "$1" $((0x211)) '\001'		# loaded high
	poke "$1" $((0x236)) '\001'		# has a 64-bit entry
	poke "$1" $((0x258 + 3)) '\001'		# prefers 16 MiB
	poke "$1" $((0x260 + 1)) '\020'		# and takes a page there
	poke "$1" $((1024 + 0x200)) "$2"
}

poke()
{
	# shellcheck disable=SC2059 # the bytes are the format
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Reduces JSON by its grammar until one value is left, or not.
json_valid()
{
	awk '
	{ s = s $0 "\n" }
	END {
		gsub(/"([^"\\\001-\037]|\\["\\\/bfnrt]|\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F])*"/, "S", s)
		gsub(/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/, "V", s)
		gsub(/true|false|null/, "V", s)
		gsub(/[ \t\r\n]+/, "", s)
		do {
			n = gsub(/\{(S:[SV](,S:[SV])*)?\}/, "V", s)
			n += gsub(/\[([SV](,[SV])*)?\]/, "V", s)
		} while (n > 0)
		exit s !~ /^[SV]$/
	}' "$1"
}
