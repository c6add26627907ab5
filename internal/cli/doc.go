// Package cli owns the operator commands that talk to a node over gRPC: what
// they are called, how they read their flags and files, how their answers and
// refusals look on a terminal, and the exit codes that scripts rely on. It
// knows nothing of databases or brokers, and cmd/yipan sets its local commands
// beside it.
//
// Invariants: a token comes from a file, never from a flag's value, and is sent
// over TLS alone; every write carries a request id, so that repeating a command
// with the same id (or the same file) does nothing twice; Chinese is the
// language unless another is asked for; standard output holds results alone,
// progress and refusals go to standard error; with --json each result is one
// line of JSON.
//
// Exit codes: 0 done; 1 refused or failed; 2 the command line is wrong; 3 not
// reached or busy, the same command may succeed later; 4 some rows of many were
// refused.
package cli
