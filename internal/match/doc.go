// Package match owns the comparison of two descriptions of a person: how alike
// they are, in points, and why. It is pure and sees only what its caller gives
// it; it never decides that two are one, except to say that nothing speaks
// against it (Certain).
package match
