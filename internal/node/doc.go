// Package node owns one node as a whole: its configuration, the order in which
// its parts start and stop, the listener for health and metrics, the follower
// of the directory, and the inspection that `yipan doctor` shows. Nothing else
// knows all parts.
//
// Invariants:
//   - Several nodes live in one process: logger, clock and metrics registry are
//     given, and nothing is global.
//   - Start is one straight line; each part that started has a named clean-up,
//     and they run in the opposite order, also when a later part fails.
//   - Work in the background is a Run(ctx) error. One that ends by itself with
//     an error ends the node, visibly.
//   - A broker or peer that is away neither keeps a node from starting nor makes
//     it unready: PostgreSQL is the queue. A database that is away does.
//   - A record of the directory is verified, then durable, then in force.
//
// It refuses a configuration with keys that it does not know, secrets written
// into it, and to start without keys, journal or the authority's public key: it
// never makes them by itself.
package node
