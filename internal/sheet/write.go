package sheet

import (
	"encoding/csv"
	"io"
	"strings"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
)

// Words that cells hold; the second of each pair is read only.
var (
	wordsKind    = map[string]cases.Kind{"流出": cases.Outflow, "outflow": cases.Outflow, "流入": cases.Inflow, "inflow": cases.Inflow}
	wordsYes     = map[string]bool{"是": true, "yes": true, "y": true, "1": true, "true": true, "否": false, "no": false, "n": false, "0": false, "false": false}
	wordsBasis   = map[string]cases.BasisKind{"本人申请": cases.BasisRequest, "request": cases.BasisRequest}
	basisConsent = [...]string{"同意书:", "consent:"}
	basisDuty    = [...]string{"政策职责:", "duty:"}
)

const dutyPrefix = "duty:"

// WriteRoster writes rows as CSV: UTF-8 with a byte order mark, without which
// Excel takes it for GBK, and CRLF (RFC 4180). Lines of rows are not written.
// Text that a spreadsheet would run as a formula gets an apostrophe before it,
// which ReadRoster takes away. A basis of another kind, an unknown kind of case
// or a writer's error is refused; what was written before stays.
func WriteRoster(w io.Writer, rows []RosterRow) error {
	if _, err := io.WriteString(w, "\uFEFF"); err != nil {
		return failed(err)
	}
	c := csv.NewWriter(w)
	c.UseCRLF = true
	cells := make([]string, numColumns)
	for i := range cells {
		cells[i] = column(i).String()
	}
	if err := c.Write(cells); err != nil {
		return failed(err)
	}
	for i := range rows {
		if err := rows[i].cells(cells); err != nil {
			return err
		}
		if err := c.Write(cells); err != nil {
			return failed(err)
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return failed(err)
	}
	return nil
}

func failed(err error) error {
	return fault.Unavailable("ROSTER_WRITE", "write roster").Zh("名册写入失败，请检查磁盘空间和权限").Because(err)
}

func (r *RosterRow) cells(c []string) error {
	basis, err := basisCell(r.Basis)
	if err != nil {
		return err
	}
	switch r.Kind {
	case cases.Outflow:
		c[colKind] = "流出"
	case cases.Inflow:
		c[colKind] = "流入"
	default:
		return fault.Invalid("ROSTER_KIND", "roster row of case kind %v", r.Kind).Zh("名册只收流出和流入").On("kind")
	}
	c[colName] = guarded(r.Name)
	c[colDocument] = r.Document.Number
	if r.Document.Kind == ident.KindNone {
		c[colDocument] = ident.KindNone.Zh()
	}
	c[colSex] = ""
	if r.Sex != ident.SexUnknown {
		c[colSex] = r.Sex.Zh()
	}
	c[colBirth], c[colEventDay] = r.Birth.String(), r.EventDay.String()
	c[colPhone] = guarded(r.Phone)
	c[colPhoneSafe], c[colConfirm] = yes(r.PhoneSafe), yes(r.Confirm)
	c[colOrigin], c[colDestination] = areaCell(r.Origin), areaCell(r.Destination)
	c[colBasis] = basis
	c[colConsentVersion] = guarded(r.ConsentVersion)
	c[colMarital] = r.Marital.Zh()
	c[colAsked], c[colIssued] = dayCell(r.Asked), dayCell(r.Issued)
	return nil
}

func yes(b bool) string {
	if b {
		return "是"
	}
	return "否"
}

func dayCell(d civil.Date) string { return d.String() }

// areaCell writes the digits that the level uses, with the level where Parse
// would take them for another (3:441900).
func areaCell(k area.Key) string {
	if k == 0 {
		return ""
	}
	if p, err := area.Parse(k.Short()); err == nil && p == k {
		return k.Short()
	}
	return k.String()
}

func basisCell(b cases.Basis) (string, error) {
	switch b.Kind {
	case cases.BasisRequest:
		return "本人申请", nil
	case cases.BasisConsent:
		return basisConsent[0] + b.Consent.String(), nil
	case cases.BasisDuty:
		return basisDuty[0] + strings.TrimPrefix(b.Duty, dutyPrefix), nil
	}
	return "", fault.Invalid("ROSTER_BASIS", "roster row without a basis").Zh("名册每一行都须有依据").On("basis")
}

// guarded keeps a spreadsheet from running a cell (CWE-1236), and itself from
// losing an apostrophe that was there.
func guarded(s string) string {
	if s != "" && strings.ContainsRune("=+-@'\t\r＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}
