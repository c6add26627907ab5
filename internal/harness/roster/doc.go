// Package roster owns the synthetic people of demos, tests and loads: a roster
// with the figures of one township's report (篇一), made from a seed, and for
// each person what the clerks at the other end will find.
//
// Invariants: equal seed and Spec give equal people, in equal order, on every
// machine; the counts of the Spec are met exactly; no document number stands
// twice and every one has a valid check digit; names are obviously invented and
// telephone numbers begin with 100, which no mobile number does. What the
// clerks find keeps the rules of DOMAIN section 2: who gave no consent to be
// confirmed is answered NO_DISCLOSURE, or MISROUTED from the address alone.
//
// It refuses, by panic, a Spec that cannot be met: that is a mistake in a
// program, not in data.
package roster
