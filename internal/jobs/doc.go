// Package jobs owns what time starts at a node: offer rounds that end,
// feedback that then leaves, the forgetting of people at wrong receivers, and
// keys that nobody needs any more. Its invariants: every job may run twice, or
// at several replicas at once, without harm; one that fails is tried again at
// the next turn and holds no other up; logs and metrics hold counts only.
//
// It decides nothing itself: what a job does is a verb of desk or exchange.
package jobs
