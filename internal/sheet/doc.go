// Package sheet owns rosters as files: CSV in and out, with Chinese headers
// (English ones are read too), as clerks get them out of Excel.
//
// Invariants: what WriteRoster writes, ReadRoster reads back as it was; every
// row that ReadRoster returns has been checked in form (document, areas,
// dates, words), and every row that it refuses has a Problem that names its
// line and column. Reading has no effect but its results.
//
// It refuses what Excel has rounded (numbers in scientific notation), guesses
// no legal basis, and never puts what a cell holds into a Problem or an error:
// lines and columns only. Whether a day is to come, an office may send, or a
// duty is in force, the desk decides.
package sheet
