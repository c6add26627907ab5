// Package pglocal owns a private PostgreSQL server: it finds the binaries of
// PostgreSQL 15 or later, makes a data directory, starts a postmaster on it and
// stops it. It knows nothing of what the databases hold and speaks no SQL.
//
// # Invariants
//
//   - One server per directory: the starting program holds a file lock
//     (flock(2)) on Dir/lock for as long as the postmaster lives; a second
//     Start gets fault.KindConflict.
//   - No TCP. The server listens on one Unix socket in a directory of mode
//     0700 that belongs to the server's user. That directory is the guard:
//     authentication inside is "trust", so whoever is that user (or root) is
//     every database user, and nobody else reaches the socket.
//   - The server does not outlive its program: on Linux the kernel sends it
//     SIGINT (fast shutdown) when the starting thread dies (prctl(2),
//     PR_SET_PDEATHSIG); on other Unix systems a small shell waits for the end
//     of a pipe and does the same, unless it is killed too. What a killed
//     postmaster leaves (orphaned backends, pid and lock files, shared memory)
//     is cleared by the next Start on the same directory, before a new
//     postmaster touches the data.
//   - A data directory appears under its name only when it is complete and, if
//     Durable, on disk: initdb works in Dir/pg.new, which is then renamed.
//   - The server's log holds no statement, no parameter and no message of a
//     failed statement, for those quote values of rows.
//
// # Layout
//
//	Dir/pg/           data directory, 0700, of the server's user
//	Dir/pg.new/       a data directory in the making; removed by the next Start
//	Dir/sock/         socket directory, 0700, of the server's user
//	Dir/sock.path     where the socket directory is when Dir is too long for one
//	Dir/postgres.log  what the postmaster writes; moved to postgres.log.1 at
//	                  Start when over 8 MiB
//	Dir/lock          the file lock
//
// Dir should be used for nothing else: it is made 0711 when root starts the
// server, for PostgreSQL refuses to run as root and its user must pass through.
//
// It refuses: servers older than 15, directories that the server's user cannot
// reach (it never opens directories of others), settings that would open the
// server to the network, weaken durability or log personal data, and systems
// other than Unix; those use an existing server by YIPAN_DATABASE_URL.
package pglocal
