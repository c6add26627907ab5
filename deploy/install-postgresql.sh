#!/bin/sh
# Makes sure that the server programs of PostgreSQL 15 or later are there, for
# the private server that the program starts itself (internal/pglocal). Found:
# does nothing. Missing, on Debian or Ubuntu as root: installs the package
# without a system cluster. Elsewhere: prints the command to type, exit 1.
#
#   PG_BIN_DIR              use these programs, look nowhere else
#   YIPAN_DATABASE_URL      an existing server is used: nothing to install
#   YIPAN_PG_SEARCH_ROOT    for tests: a prefix of the well-known places
#   YIPAN_PG_DRY_RUN=1      for tests: say what would be run as root, run nothing
set -eu

min=15
root=${YIPAN_PG_SEARCH_ROOT:-}

# major DIR prints the major version of the server in DIR; fails without one.
major() {
	for program in postgres initdb pg_ctl; do
		[ -f "$1/$program" ] && [ -x "$1/$program" ] || return 1
	done
	version=$("$1/postgres" --version 2>/dev/null) || return 1
	version=${version##*PostgreSQL}
	version=$(printf '%s\n' "$version" | sed -n 's/^)\{0,1\} \([0-9][0-9]*\).*/\1/p')
	[ -n "$version" ] || return 1
	printf '%s\n' "$version"
}

good() {
	m=$(major "$1") && [ "$m" -ge "$min" ]
}

# find_server prints the directory of a server; the order is that of
# pglocal.Find: pg_config, PATH, well-known places. Which of the places is the
# highest version does not matter here.
find_server() {
	if dir=$(pg_config --bindir 2>/dev/null) && good "$dir"; then
		printf '%s\n' "$dir"
		return 0
	fi
	if p=$(command -v postgres 2>/dev/null); then
		if q=$(readlink -f "$p" 2>/dev/null); then
			p=$q
		fi
		dir=$(dirname "$p")
		if good "$dir"; then
			printf '%s\n' "$dir"
			return 0
		fi
	fi
	for dir in \
		"$root"/usr/lib/postgresql/*/bin \
		"$root"/usr/pgsql-*/bin \
		"$root"/usr/libexec/postgresql* \
		"$root"/usr/local/pgsql/bin \
		"$root"/usr/local/pgsql-*/bin \
		"$root"/usr/local/bin \
		"$root"/usr/bin \
		"$root"/opt/homebrew/opt/postgresql*/bin \
		"$root"/usr/local/opt/postgresql*/bin \
		"$root"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin \
		"$root"/Applications/Postgres.app/Contents/Versions/*/bin \
		"$root"/opt/local/lib/postgresql*/bin \
		"$root"/opt/postgresql*/bin; do
		if good "$dir"; then
			printf '%s\n' "$dir"
			return 0
		fi
	done
	return 1
}

# hint prints the command to type on this system.
hint() {
	sudo=
	[ "$(id -u)" -eq 0 ] || sudo='sudo '
	case $(uname -s) in
	Darwin)
		echo 'brew install postgresql@17'
		return
		;;
	FreeBSD)
		echo "${sudo}pkg install -y postgresql17-server"
		return
		;;
	esac
	if command -v apt-get >/dev/null 2>&1; then
		echo "${sudo}sh deploy/install-postgresql.sh"
	elif command -v dnf >/dev/null 2>&1; then
		echo "${sudo}dnf install -y postgresql-server"
	elif command -v yum >/dev/null 2>&1; then
		echo "${sudo}yum install -y postgresql-server"
	elif command -v zypper >/dev/null 2>&1; then
		echo "${sudo}zypper install -y postgresql-server"
	elif command -v apk >/dev/null 2>&1; then
		echo "${sudo}apk add postgresql"
	elif command -v pacman >/dev/null 2>&1; then
		echo "${sudo}pacman -S --noconfirm postgresql"
	else
		echo 'https://www.postgresql.org/download/'
	fi
}

give_up() {
	{
		echo "没有找到 PostgreSQL $min 或更高版本的服务端程序。请执行：$1"
		echo "或用 PG_BIN_DIR 指明其目录，或用 YIPAN_DATABASE_URL 连接已有的数据库。"
		echo "No server programs of PostgreSQL $min or later found. Type: $1"
		echo "or set PG_BIN_DIR to their directory, or YIPAN_DATABASE_URL to use an existing server."
	} >&2
	exit 1
}

do_it() {
	if [ "${YIPAN_PG_DRY_RUN:-}" = 1 ]; then
		printf 'would run: %s\n' "$*"
	else
		"$@"
	fi
}

# no_system_cluster keeps the server package from making and starting a cluster
# of its own. The file is read when that package is configured, so it is written
# before; postgresql-common's own copy of it, a conffile, must not be asked
# about.
no_system_cluster() {
	conf=/etc/postgresql-common/createcluster.conf
	if [ "${YIPAN_PG_DRY_RUN:-}" = 1 ]; then
		echo "would set create_main_cluster = false in $conf"
		return
	fi
	mkdir -p /etc/postgresql-common
	touch "$conf"
	if grep -q '^[[:space:]]*create_main_cluster' "$conf"; then
		sed -i 's/^[[:space:]]*create_main_cluster.*/create_main_cluster = false/' "$conf"
	else
		echo 'create_main_cluster = false' >>"$conf"
	fi
}

install_debian() {
	DEBIAN_FRONTEND=noninteractive
	export DEBIAN_FRONTEND
	candidate() {
		apt-cache policy postgresql 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9][0-9]*\).*/\1/p'
	}
	if [ -z "$(candidate)" ]; then
		do_it apt-get update -q
	fi
	have=$(candidate)
	if [ -n "$have" ] && [ "$have" -lt "$min" ]; then
		echo "This release carries PostgreSQL $have; version $min or later is at https://apt.postgresql.org" >&2
		echo "本系统只带有 PostgreSQL $have，$min 或更高版本见 https://apt.postgresql.org" >&2
		exit 1
	fi
	echo "Installing PostgreSQL without a system cluster. 正在安装 PostgreSQL（不建立系统数据库）。"
	no_system_cluster
	if ! do_it apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold postgresql; then
		# The lists may be older than the mirror.
		do_it apt-get update -q
		do_it apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold postgresql
	fi
}

if [ -n "${YIPAN_DATABASE_URL:-}" ]; then
	exit 0
fi
if [ -n "${PG_BIN_DIR:-}" ]; then
	good "$PG_BIN_DIR" && exit 0
	echo "PG_BIN_DIR=$PG_BIN_DIR 中没有 PostgreSQL $min 或更高版本的服务端程序。" >&2
	echo "PG_BIN_DIR=$PG_BIN_DIR holds no server of PostgreSQL $min or later." >&2
	exit 1
fi
if find_server >/dev/null; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ] || [ ! -e "$root/etc/debian_version" ] || ! command -v apt-get >/dev/null 2>&1; then
	give_up "$(hint)"
fi
install_debian
if [ "${YIPAN_PG_DRY_RUN:-}" != 1 ] && ! find_server >/dev/null; then
	give_up 'https://www.postgresql.org/download/'
fi
