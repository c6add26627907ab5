// Package report owns how reports look: workbooks and pages to be printed on A4,
// in Chinese, with definitions and a line for the signature. The same figures
// give the same bytes; what they are is decided elsewhere.
//
// Invariants: nothing but the Data goes into a file, no clock, no time zone, no
// name of a machine; a cell is a number or text and never a formula. One program
// writes the same bytes each time; another may not, so that reports of frozen
// figures are kept as they were made (closing.Kept). Whatever changes how a
// report looks raises Layout.
package report

import (
	"fmt"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/policy"
)

// Layout is the version of how reports look. It stands in each report, so that
// one of the past is compared with the program that made it.
const Layout = 1

// Data is everything that a report says.
type Data struct {
	Kind    figures.ReportKind
	Area    area.Key
	Period  policy.Period
	At      time.Time // the instant that the figures are of
	Figures []figures.Figure
	Cases   []figures.OverdueCase // of an overdue list, for the owning office alone

	Frozen   bool     // else it is marked as a draft (未定稿)
	Revision uint32   // of frozen figures
	Digest   string   // of frozen figures, hex
	Policy   string   // version
	Missing  []string // names of peers whose statements did not agree in time
}

// Format is how a report is written. The numbers are those of the API.
type Format uint8

// The formats.
const (
	XLSX Format = 1
	HTML Format = 2
)

// MediaType returns the format's media type.
func (f Format) MediaType() string {
	if f == HTML {
		return "text/html; charset=utf-8"
	}
	return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
}

// FileName returns a name without personal data, "annual-520330101-2026.xlsx";
// of frozen figures with the revision.
func (d *Data) FileName(f Format) string {
	name := fmt.Sprintf("%s-%s-%s", d.Kind, d.Area.Short(), d.Period)
	if d.Frozen {
		name += fmt.Sprintf("-r%d", d.Revision)
	}
	if f == HTML {
		return name + ".html"
	}
	return name + ".xlsx"
}

// Make writes a report. Errors: Invalid REPORT_KIND and REPORT_FORMAT.
func Make(d *Data, f Format) ([]byte, error) {
	if !d.Kind.Known() {
		return nil, fault.Invalid("REPORT_KIND", "unknown kind of report").Zh("没有这种报表").On("kind")
	}
	p := pageOf(d)
	switch f {
	case XLSX:
		return workbook(p)
	case HTML:
		return printed(p)
	}
	return nil, fault.Invalid("REPORT_FORMAT", "unknown format of a report").Zh("报表格式只能是 xlsx 或 html").On("format")
}

// clock writes an instant as it is said in Shanghai.
func clock(t time.Time) string {
	return t.In(civil.Shanghai).Format("2006-01-02 15:04:05")
}
