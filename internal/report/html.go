package report

import (
	"bytes"
	"html/template"
	"strings"

	"yipan/internal/fault"
)

// printed writes a page to be printed: one file without scripts, pictures or
// anything from elsewhere.
func printed(p *page) ([]byte, error) {
	var b bytes.Buffer
	if err := sheetOfPaper.Execute(&b, shownPage{p}); err != nil {
		return nil, fault.Internal("REPORT_WRITE", "write page").Because(err)
	}
	return b.Bytes(), nil
}

// shownPage is a page as the template sees it.
type shownPage struct{ p *page }

// shownTable is a table as the template sees it.
type shownTable struct {
	Name    string
	Columns []string
	Rows    []shownRow
}

type shownRow struct {
	Class string
	Span  int // over all columns; 0: each cell by itself
	Cells []shownCell
}

type shownCell struct {
	Class string
	Lines []string
}

func (s shownPage) Title() string   { return s.p.title }
func (s shownPage) Draft() bool     { return s.p.draft }
func (s shownPage) Heads() []string { return s.p.heads }
func (s shownPage) Notes() []string { return s.p.notes }
func (s shownPage) Signs() []string { return s.p.signature }
func (s shownPage) Footer() string  { return s.p.footer }
func (s shownPage) Landscape() bool { return s.p.landscape }
func (s shownPage) Terms() [][2]string {
	out := make([][2]string, len(s.p.terms))
	for i, t := range s.p.terms {
		out[i] = [2]string{t.name, t.text}
	}
	return out
}

func (s shownPage) Tables() []shownTable {
	var out []shownTable
	for _, t := range s.p.tables {
		st := shownTable{}
		if len(s.p.tables) > 1 {
			st.Name = t.name
		}
		for _, c := range t.columns {
			st.Columns = append(st.Columns, c.title)
		}
		for _, r := range t.rows {
			sr := shownRow{}
			switch {
			case r.section:
				sr.Class, sr.Span = "section", len(t.columns)
			case r.strong:
				sr.Class = "strong"
			}
			for _, c := range r.cells {
				sc := shownCell{Lines: strings.Split(c.show(), "\n")}
				if c.right {
					sc.Class = "n"
				}
				sr.Cells = append(sr.Cells, sc)
			}
			st.Rows = append(st.Rows, sr)
		}
		out = append(out, st)
	}
	return out
}

var sheetOfPaper = template.Must(template.New("report").Parse(`<!DOCTYPE html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{.Title}}</title>
<style>
@page { size: A4 {{if .Landscape}}landscape{{else}}portrait{{end}}; margin: {{if .Landscape}}11mm 14mm 13mm{{else}}15mm 14mm 16mm{{end}}; @bottom-right { content: "第 " counter(page) " 页，共 " counter(pages) " 页"; font-size: 8pt; } }
body { font: {{if .Landscape}}9pt/1.3{{else}}9.5pt/1.25{{end}} "SimSun", "宋体", "Songti SC", "Noto Serif CJK SC", "Noto Sans CJK SC", "Source Han Serif SC", serif; color: #000; background: #fff; max-width: {{if .Landscape}}269mm{{else}}182mm{{end}}; margin: 0 auto; }
h1 { font-size: 16pt; text-align: center; margin: 0 0 2mm; }
h2 { font-size: 11pt; margin: 4mm 0 1mm; break-after: avoid; }
p { margin: 0; }
.draft { text-align: center; color: #c00000; font-weight: bold; font-size: 12pt; }
table { border-collapse: collapse; width: 100%; margin: 3mm 0; }
th, td { border: 0.5pt solid #000; padding: 0.4mm 1.2mm; vertical-align: middle; }
th { background: #ededed; font-weight: bold; text-align: center; }
thead { display: table-header-group; }
tr, .tail { break-inside: avoid; }
.main tr:nth-last-child(-n+3) { break-after: avoid; }
td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr.strong td, tr.section td { font-weight: bold; }
tr.section td { background: #ededed; }
.notes { font-size: 9pt; }
.notes ol { margin: 0; padding-left: 6mm; }
.sign { display: flex; justify-content: space-between; margin-top: 6mm; }
.foot { font-size: 8pt; margin-top: 3mm; }
.terms td:first-child { white-space: nowrap; }
.terms { font-size: 9pt; }
{{if .Landscape}}td:first-child { white-space: nowrap; }
{{end}}</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{if .Draft}}<p class="draft">（未定稿）</p>
{{end}}{{range .Heads}}<p>{{.}}</p>
{{end}}{{range .Tables}}{{with .Name}}<h2>{{.}}</h2>
{{end}}<table class="main">
<thead><tr>{{range .Columns}}<th scope="col">{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}{{$span := .Span}}<tr{{with .Class}} class="{{.}}"{{end}}>{{range .Cells}}<td{{with .Class}} class="{{.}}"{{end}}{{with $span}} colspan="{{.}}"{{end}}>{{range $i, $l := .Lines}}{{if $i}}<br>{{end}}{{$l}}{{end}}</td>{{end}}</tr>
{{end}}</tbody>
</table>
{{end}}<div class="tail"><div class="notes"><p>说明：</p><ol>
{{range .Notes}}<li>{{.}}</li>
{{end}}</ol></div>
<div class="sign">{{range .Signs}}<span>{{.}}</span>{{end}}</div>
<p class="foot">{{.Footer}}</p></div>
{{with .Terms}}<h2>指标口径</h2>
<table class="terms">
<thead><tr><th scope="col">指标</th><th scope="col">口径</th></tr></thead>
<tbody>
{{range .}}<tr><td>{{index . 0}}</td><td>{{index . 1}}</td></tr>
{{end}}</tbody>
</table>
{{end}}</body>
</html>
`))
