// Package bus owns everything that is NATS: the connection, the embedded
// server (Hub), streams, publishing and consuming. It is the only room that
// imports nats.go and nats-server.
//
// Invariants:
//   - The broker is disposable. It may be away, restart, or lose its disk: a
//     Conn connects for ever, streams and consumers are made anew when they
//     are missing, and no stream sequence is ever handed out as an identity.
//   - Delivery is at least once and in no order. A message counts as taken
//     only when its reader acks it; an ack never leaves over another
//     connection than the one that delivered the message, because after a
//     wipe the broker counts from 1 again and a late ack would hit a stranger.
//   - A successful publish says that the broker stored the bytes, and nothing
//     about the receiver.
//   - Payloads are opaque and never logged; messages carry no headers, so no
//     Nats-Msg-Id either (it can be poisoned).
//
// It refuses to know what a parcel is: node ids are plain int64 (the area key,
// twelve digits of code and one of level), payloads are bytes. The source in a
// subject is a routing hint and never evidence.
package bus
