// Package model is the exchange protocol as a machine that runs: an oracle for
// the rooms that build it, and the place where a rule is tried before it is
// built. It holds no code for the product and exports nothing; the machine is
// in the test files, the rules M1 to M16 that it adds to PROTOCOL.md are in
// README.md.
//
// It owns: nodes with a database that can be restored, an erasure journal
// outside it, a wire that loses, repeats, reorders and replays, items with head
// and body, receipts, statements, homes that move, rerouting, ASSIGN, FEEDBACK
// and REVOKE; three ways to run them (random faults, complete search of two
// nodes, scripted scenes); and broken variants of the rules, each of which must
// be caught.
//
// Invariants, checked after every step or when the faults have stopped:
//
//	I1  a settled row means that the peer durably held the item
//	I2  an item held anywhere reaches both homes; its body too, unless erased there
//	I3  equal sets give equal state, times, office and feedback, and equal fields where both hold the bodies
//	I4  one effect for each item id in a database history
//	I5  a child leg exists exactly when its parent folds to REROUTED with whole fields
//	I6  pump, statements and drafts drain
//	I7  an erased body never comes back to, nor leaves, the node that erased it; no other event takes a held body
//	I8  erasing changes nothing that is folded from heads
//	I9  after a withdrawal no released body leaves the node, and in the end nobody holds one
//	I10 FEEDBACK and REVOKE change nothing else in the fold
//
// It refuses to say anything on cryptography, proofs, range recursion, version
// hold-back, savepoints, locks and concurrent replicas: those are tested on the
// real thing.
package model
