// Package town owns a whole exchange on one machine: an authority, a hub and
// nodes, laid out in one folder by the program's own commands, each with its
// own database, accounts and tokens, and started, stopped, killed, wiped and
// restored at will.
//
// Invariants: hub and nodes are either all commands within this process or all
// processes of the program, and behave alike; a process does not outlive the
// town. What a town lays out is what a person would by hand with `yipan
// authority`, `yipan init`, `yipan join` and `yipan user`, so that the folder
// can be used by hand afterwards. Names of accounts and offices are no
// person's, and no token is written anywhere but to its file.
//
// It refuses a folder in which something lies already, and to kill what is no
// process of its own.
//
// A folder DIR holds:
//
//	DIR/authority/         the exchange authority
//	DIR/hub/               the broker's store
//	DIR/policy.toml        the policy of all nodes
//	DIR/log/               one .jsonl for each member
//	DIR/NODE/yipan.toml    a node's configuration
//	DIR/NODE/pg/           its PostgreSQL
//	DIR/NODE/keys/         its keys, apart from the data
//	DIR/NODE/tokens/       one token for each account
package town
