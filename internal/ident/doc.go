// Package ident owns ID documents and the small facts that stand on them:
// parsing, checking, deriving (sex, birth date, area) and redacting, the
// matching form of names, and the codes for sex and marital status.
//
// Invariants: a Doc never shows its number through fmt, slog or encoding/json;
// no error or Warning holds any part of a number or a name. What was typed is
// kept beside the normalised number. It does no I/O, reads no clock and knows
// no table of areas: the area digits of a number are a hint for the caller.
//
// It refuses what cannot be a number at all (shape, impossible birth dates,
// known dummies, numbers that Excel has rounded) and only warns of what a clerk
// may confirm with a reason (a failed check digit above all).
package ident
