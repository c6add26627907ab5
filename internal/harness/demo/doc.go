// Package demo owns the script of `yipan demo`: a township sends the roster of
// 篇一 to a county in another province, clerks there answer it, and at the end
// the figures of that report are computed again and every case is compared at
// both its ends.
//
// Invariants: everything but accounts goes through the public gRPC API, as
// clerks with tokens; what a clerk does depends on what the API shows and on
// what the synthetic roster says is true. Every act is counted by the case it
// belongs to, so that the check at the end knows how many items each case must
// have. A fault counts only where the log proves that it struck while there was
// something to lose. Neither the demo's output nor its log names a person.
//
// It refuses a folder that is not empty.
package demo
