package sheet

import (
	"fmt"
	"io"
	"log/slog"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ident"
)

// RosterRow is one person's movement as a row of a roster. Printing and logging
// it shows its line only.
type RosterRow struct {
	Line int // on which the row begins, from 1; the header stands on 1

	Kind        cases.Kind // Outflow or Inflow
	Name        string     // as written, outer spaces removed
	Document    ident.Doc
	Sex         ident.Sex  // SexUnknown: not given
	Birth       civil.Date // zero: not given
	Phone       string     // ASCII digits, + and -; empty: none
	PhoneSafe   bool       // may be called
	EventDay    civil.Date // of leaving or arriving
	Origin      area.Key   // 户籍地
	Destination area.Key   // 现居住地
	// Basis is the person's request, a consent with its id or a duty with its id
	// ("duty:joint-service"); it has no text hash.
	Basis cases.Basis
	// Confirm: the person signed that the residence may be confirmed. The consent
	// itself is recorded one by one, to the text of ConsentVersion.
	Confirm        bool
	ConsentVersion string
	Marital        ident.Marital // 0: not given; for the office's own counts, never sent
	Asked          civil.Date    // a certificate was asked for; zero: none
	Issued         civil.Date    // it was issued; zero: not; never without Asked
}

// String returns "row at line 12".
func (r RosterRow) String() string { return fmt.Sprintf("row at line %d", r.Line) }

// Format writes String for every verb.
func (r RosterRow) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue returns String.
func (r RosterRow) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Problem is one thing wrong with a roster. It holds no cell's value.
type Problem struct {
	Line   int    // of the row, from 1
	Column string // Chinese header; "第 5 列" where the column has no known one; empty: the row as a whole
	Reason string // UPPER_SNAKE_CASE, stays the same when wording changes
	Text   string // Chinese, for the clerk
	// Warning: the row is among the rows all the same.
	Warning bool
}

// String returns "第 12 行“证件号码”：…".
func (p Problem) String() string {
	if p.Column == "" {
		return fmt.Sprintf("第 %d 行：%s", p.Line, p.Text)
	}
	return fmt.Sprintf("第 %d 行“%s”：%s", p.Line, p.Column, p.Text)
}

// column is one column of a roster.
type column int

const (
	colKind column = iota
	colName
	colDocument
	colSex
	colBirth
	colPhone
	colPhoneSafe
	colEventDay
	colOrigin
	colDestination
	colBasis
	colConfirm
	colConsentVersion
	colMarital
	colAsked
	colIssued
	numColumns
)

// columns in the order in which they are written. The first name is written,
// all are read; spaces and case of a header do not matter.
var columns = [numColumns]struct {
	names    []string
	required bool
}{
	colKind:           {names: []string{"类别", "kind"}},
	colName:           {names: []string{"姓名", "name"}, required: true},
	colDocument:       {names: []string{"证件号码", "身份证号", "身份证号码", "公民身份号码", "id_number"}, required: true},
	colSex:            {names: []string{"性别", "sex"}},
	colBirth:          {names: []string{"出生日期", "birth_date"}},
	colPhone:          {names: []string{"联系电话", "phone"}},
	colPhoneSafe:      {names: []string{"可否致电", "phone_ok"}},
	colEventDay:       {names: []string{"流出日期", "流入日期", "流动日期", "event_date"}, required: true},
	colOrigin:         {names: []string{"流出地", "户籍地", "origin"}, required: true},
	colDestination:    {names: []string{"现居住地", "destination"}, required: true},
	colBasis:          {names: []string{"依据", "basis"}, required: true},
	colConfirm:        {names: []string{"同意核实", "consent_to_confirm"}},
	colConsentVersion: {names: []string{"同意书文本版本", "consent_version"}},
	colMarital:        {names: []string{"婚姻状况", "marital_status"}},
	colAsked:          {names: []string{"申请办证日期", "certificate_asked"}},
	colIssued:         {names: []string{"发证日期", "certificate_issued"}},
}

func (c column) String() string { return columns[c].names[0] }
