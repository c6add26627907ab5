#!/bin/sh
# Makes sure that promtool is there, which checks and tests the alert rules
# (make alerts). Found: does nothing. Missing, on Debian or Ubuntu as root: takes
# it, and nothing else, out of the Debian package prometheus; the package itself
# is not installed, because it would make a user and start a server. Elsewhere:
# prints the command to type, exit 1.
#
#   PROMTOOL                   use this program, look nowhere else
#   YIPAN_PROMTOOL_DRY_RUN=1   for tests: say what would be run as root, run nothing
#   YIPAN_PROMTOOL_PREFIX      where bin/promtool goes; /usr/local
set -eu

prefix=${YIPAN_PROMTOOL_PREFIX:-/usr/local}

give_up() {
	{
		echo "没有找到 promtool（检查告警规则用）。请执行：$1"
		echo "或用 PROMTOOL 指明该程序。"
		echo "promtool, which checks the alert rules, was not found. Type: $1"
		echo "or set PROMTOOL to the program."
	} >&2
	exit 1
}

hint() {
	sudo=
	[ "$(id -u)" -eq 0 ] || sudo='sudo '
	if [ "$(uname -s)" = Darwin ]; then
		echo 'brew install prometheus'
	elif command -v apt-get >/dev/null 2>&1; then
		echo "${sudo}sh deploy/install-promtool.sh"
	elif command -v apk >/dev/null 2>&1; then
		echo "${sudo}apk add prometheus"
	elif command -v pacman >/dev/null 2>&1; then
		echo "${sudo}pacman -S --noconfirm prometheus"
	else
		echo 'https://prometheus.io/download/'
	fi
}

do_it() {
	if [ "${YIPAN_PROMTOOL_DRY_RUN:-}" = 1 ]; then
		printf 'would run: %s\n' "$*"
	else
		"$@"
	fi
}

# fetch downloads the package into the current folder. The lists may be missing,
# or older than the mirror.
fetch() {
	apt-get -q download prometheus 2>/dev/null || {
		apt-get -q update
		apt-get -q download prometheus
	}
}

install_debian() {
	if [ "${YIPAN_PROMTOOL_DRY_RUN:-}" = 1 ]; then
		do_it apt-get download prometheus
		do_it install promtool "$prefix/bin/promtool"
		return
	fi
	echo '正在从 Debian 软件包 prometheus 中取出 promtool（不安装服务）。Taking promtool out of the Debian package prometheus (no server).'
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	# apt downloads as a user of its own, who must be let in.
	chmod 755 "$dir"
	if id _apt >/dev/null 2>&1; then
		chown _apt "$dir"
	fi
	(cd "$dir" && fetch && dpkg-deb -x ./prometheus_*.deb x)
	mkdir -p "$prefix/bin"
	install -m 755 "$dir/x/usr/bin/promtool" "$prefix/bin/promtool"
}

if [ -n "${PROMTOOL:-}" ] && [ "$PROMTOOL" != promtool ]; then
	if [ -f "$PROMTOOL" ] && [ -x "$PROMTOOL" ]; then
		exit 0
	fi
	echo "PROMTOOL=$PROMTOOL 不是可执行的程序。PROMTOOL=$PROMTOOL is no program." >&2
	exit 1
fi
if command -v promtool >/dev/null 2>&1; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ] || [ ! -e /etc/debian_version ] || ! command -v apt-get >/dev/null 2>&1; then
	give_up "$(hint)"
fi
install_debian
if [ "${YIPAN_PROMTOOL_DRY_RUN:-}" != 1 ] && ! "$prefix/bin/promtool" --version >/dev/null 2>&1; then
	give_up 'https://prometheus.io/download/'
fi
