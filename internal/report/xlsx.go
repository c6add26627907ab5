package report

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"yipan/internal/fault"
)

// Styles of cells.
const (
	styleTitle = iota
	styleHead
	styleDraft
	styleColumn
	styleText
	styleNumber
	stylePercent
	styleAside
	styleStrongText
	styleStrongNumber
	styleStrongPercent
	styleStrongAside
	styleSection
	styleNote
	styleSign
	numStyles
)

// number formats; a percentage is stored as it is read, 97.26.
var (
	formatNumber  = "#,##0"
	formatPercent = `0.00"%"`
)

func styles() [numStyles]*excelize.Style {
	gb2312 := 134 // the character set by which 宋体 is found
	font := func(size float64, bold bool, color string) *excelize.Font {
		return &excelize.Font{Family: "宋体", Charset: &gb2312, Size: size, Bold: bold, Color: color}
	}
	at := func(horizontal, vertical string, wrap bool) *excelize.Alignment {
		return &excelize.Alignment{Horizontal: horizontal, Vertical: vertical, WrapText: wrap}
	}
	var boxed []excelize.Border
	for _, side := range []string{"left", "right", "top", "bottom"} {
		boxed = append(boxed, excelize.Border{Type: side, Color: "000000", Style: 1})
	}
	gray := excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"EDEDED"}}
	out := [numStyles]*excelize.Style{
		styleTitle:   {Font: font(16, true, ""), Alignment: at("center", "center", false)},
		styleHead:    {Font: font(10.5, false, ""), Alignment: at("", "center", true)},
		styleDraft:   {Font: font(12, true, "C00000"), Alignment: at("center", "center", false)},
		styleColumn:  {Font: font(10.5, true, ""), Fill: gray, Border: boxed, Alignment: at("center", "center", true)},
		styleSection: {Font: font(10.5, true, ""), Fill: gray, Border: boxed, Alignment: at("", "center", true)},
		styleNote:    {Font: font(9, false, ""), Alignment: at("", "top", true)},
		styleSign:    {Font: font(10.5, false, ""), Alignment: at("", "bottom", false)},
	}
	for _, strong := range []bool{false, true} {
		to := styleText
		if strong {
			to = styleStrongText
		}
		f := font(10.5, strong, "")
		out[to] = &excelize.Style{Font: f, Border: boxed, Alignment: at("", "center", true)}
		out[to+styleNumber-styleText] = &excelize.Style{Font: f, Border: boxed, Alignment: at("right", "center", false), CustomNumFmt: &formatNumber}
		out[to+stylePercent-styleText] = &excelize.Style{Font: f, Border: boxed, Alignment: at("right", "center", false), CustomNumFmt: &formatPercent}
		out[to+styleAside-styleText] = &excelize.Style{Font: f, Border: boxed, Alignment: at("right", "center", true)}
	}
	return out
}

// workbook writes a page as a workbook.
func workbook(p *page) ([]byte, error) {
	f := excelize.NewFile()
	b := &book{file: f}
	for i, s := range styles() {
		n, err := f.NewStyle(s)
		b.note(err)
		b.styles[i] = n
	}
	for i := range p.tables {
		b.table(p, i)
	}
	if len(p.terms) > 0 {
		b.glossary(p)
	}
	at := p.at.UTC().Format(time.RFC3339)
	b.note(f.SetDocProps(&excelize.DocProperties{Title: p.title, Creator: "yipan", Created: at, Modified: at}))
	b.note(f.SetAppProps(&excelize.AppProperties{Application: "yipan"}))
	out, err := f.SetZipWriter(undated).WriteToBuffer()
	b.note(err)
	b.note(f.Close())
	if err := errors.Join(b.errs...); err != nil {
		return nil, fault.Internal("REPORT_WRITE", "write workbook").Because(err)
	}
	return out.Bytes(), nil
}

// undated writes parts without the time of writing, in the order in which they
// come, which is that of their names.
func undated(w io.Writer) excelize.ZipWriter { return archive{zip.NewWriter(w)} }

type archive struct{ *zip.Writer }

func (a archive) Create(name string) (io.Writer, error) {
	return a.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
}

func (a archive) AddFS(fs.FS) error { return errors.ErrUnsupported }

// A book being written.
type book struct {
	file   *excelize.File
	styles [numStyles]int
	sheets int
	errs   []error
}

func (b *book) note(err error) {
	if err != nil {
		b.errs = append(b.errs, err)
	}
}

// A sheet being written. Rows are written one after the other.
type sheet struct {
	*book
	name   string
	widths []float64
	header int // row of the column titles
	n      int // rows so far
}

func (b *book) sheet(name string, widths []float64) *sheet {
	s := &sheet{book: b, name: name, widths: widths}
	if b.sheets++; b.sheets == 1 {
		b.note(b.file.SetSheetName("Sheet1", name))
	} else {
		_, err := b.file.NewSheet(name)
		b.note(err)
	}
	for j, w := range widths {
		b.note(b.file.SetColWidth(name, letter(j), letter(j), w))
	}
	return s
}

// table lays out the i-th table with all that stands around it; notes and the
// signature stand below the first.
func (b *book) table(p *page, i int) {
	t := &p.tables[i]
	widths := make([]float64, len(t.columns))
	for j, c := range t.columns {
		widths[j] = c.width
	}
	s := b.sheet(t.name, widths)
	s.wide(p.title, styleTitle, 30)
	if p.draft {
		s.wide("（未定稿）", styleDraft, 18)
	}
	for _, h := range p.heads {
		s.wide(h, styleHead, 0)
	}
	s.open(s.tall(t.columns))
	for j, c := range t.columns {
		s.text(j, c.title, styleColumn)
	}
	s.header = s.n
	for k := range t.rows {
		s.row(&t.rows[k])
	}
	if i == 0 {
		s.open(8)
		s.wide("说明：", styleNote, 0)
		for k, n := range p.notes {
			s.wide(strconv.Itoa(k+1)+". "+n, styleNote, 0)
		}
		s.open(8)
		s.wide(strings.Join(p.signature, "    "), styleSign, 30)
	}
	s.finish(p, i == 0 && p.onePage)
}

// glossary is the sheet of definitions.
func (b *book) glossary(p *page) {
	widths := []float64{18, 80}
	if p.landscape {
		widths[1] = 118
	}
	s := b.sheet("口径", widths)
	s.wide("指标口径", styleTitle, 30)
	s.open(20)
	s.text(0, "指标", styleColumn)
	s.text(1, "口径", styleColumn)
	s.header = s.n
	for _, t := range p.terms {
		s.open(height(t.text, s.widths[1], 15))
		s.text(0, t.name, styleText)
		s.text(1, t.text, styleText)
	}
	s.finish(p, false)
}

// tall is the height of the column titles in points.
func (s *sheet) tall(cs []column) float64 {
	h := 20.0
	for _, c := range cs {
		h = max(h, height(c.title, c.width-1, 15))
	}
	return h
}

func (s *sheet) row(r *row) {
	h := 17.0
	for j, c := range r.cells {
		if !r.section {
			h = max(h, height(c.show(), s.widths[j]-1, 14))
		}
	}
	if r.section {
		s.wide(r.cells[0].text, styleSection, h)
		return
	}
	s.open(h)
	for j := range s.widths {
		if j < len(r.cells) {
			s.cell(j, &r.cells[j], r.strong)
		} else {
			s.text(j, "", styleText)
		}
	}
}

// open begins a row.
func (s *sheet) open(points float64) {
	s.n++
	s.note(s.file.SetRowHeight(s.name, s.n, points))
}

func (s *sheet) at(j int) string { return letter(j) + strconv.Itoa(s.n) }

func (s *sheet) style(j, style int) {
	s.note(s.file.SetCellStyle(s.name, s.at(j), s.at(j), s.styles[style]))
}

func (s *sheet) text(j int, v string, style int) {
	if v != "" {
		s.note(s.file.SetCellStr(s.name, s.at(j), v))
	}
	s.style(j, style)
}

func (s *sheet) cell(j int, c *cell, strong bool) {
	style := styleText
	switch {
	case c.kind == isNumber:
		style = styleNumber
	case c.kind == isPercent:
		style = stylePercent
	case c.right:
		style = styleAside
	}
	if strong {
		style += styleStrongText - styleText
	}
	switch c.kind {
	case isNumber:
		s.note(s.file.SetCellInt(s.name, s.at(j), c.n))
		s.style(j, style)
	case isPercent:
		s.note(s.file.SetCellFloat(s.name, s.at(j), float64(c.n)/100, 2, 64))
		s.style(j, style)
	default:
		s.text(j, c.text, style)
	}
}

// wide writes a line over all columns; points 0: as high as its text needs.
func (s *sheet) wide(v string, style int, points float64) {
	if points == 0 {
		w := 0.0
		for _, x := range s.widths {
			w += x
		}
		points = height(v, w, 15)
		if style == styleNote { // in a smaller font
			points = height(v, w*1.15, 12.5)
		}
	}
	s.open(points)
	s.text(0, v, style)
	for j := 1; j < len(s.widths); j++ {
		s.text(j, "", style)
	}
	s.note(s.file.MergeCell(s.name, s.at(0), s.at(len(s.widths)-1)))
}

// height is how high a row must be for a text in a column, in points.
func height(v string, width, each float64) float64 {
	lines := 0.0
	for _, l := range strings.Split(v, "\n") {
		n := 0.0
		for _, r := range l {
			if n++; r >= 0x2E80 || r == '“' || r == '”' || r == '—' || r == '·' || r == '÷' {
				n++
			}
		}
		lines += max(1, math.Ceil(n/max(1, width*0.96)))
	}
	return lines*each + 3
}

// finish sets how the sheet is shown and printed.
func (s *sheet) finish(p *page, onePage bool) {
	f := s.file
	yes, no := true, false
	s.note(f.SetSheetView(s.name, 0, &excelize.ViewOptions{ShowGridLines: &no}))
	s.note(f.SetPanes(s.name, &excelize.Panes{
		Freeze: true, YSplit: s.header, TopLeftCell: "A" + strconv.Itoa(s.header+1), ActivePane: "bottomLeft",
	}))
	paper, orientation, wide, pages := 9, "portrait", 1, 0 // A4; as many pages as it takes
	if p.landscape {
		orientation = "landscape"
	}
	if onePage {
		pages = 1
	}
	s.note(f.SetSheetProps(s.name, &excelize.SheetPropsOptions{FitToPage: &yes}))
	s.note(f.SetPageLayout(s.name, &excelize.PageLayoutOptions{Size: &paper, Orientation: &orientation, FitToWidth: &wide, FitToHeight: &pages}))
	side, end, edge := 0.6, 0.7, 0.3 // inches
	s.note(f.SetPageMargins(s.name, &excelize.PageLayoutMarginsOptions{
		Left: &side, Right: &side, Top: &end, Bottom: &end, Header: &edge, Footer: &edge, Horizontally: &yes,
	}))
	s.note(f.SetHeaderFooter(s.name, &excelize.HeaderFooterOptions{
		OddFooter: "&L&8" + strings.ReplaceAll(p.footer, "&", "&&") + "&R&8第 &P 页，共 &N 页",
	}))
	sheet := "'" + s.name + "'!$"
	last, header := strconv.Itoa(s.n), strconv.Itoa(s.header)
	s.note(f.SetDefinedName(&excelize.DefinedName{
		Name: "_xlnm.Print_Area", Scope: s.name, RefersTo: sheet + "A$1:$" + letter(len(s.widths)-1) + "$" + last,
	}))
	s.note(f.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Titles", Scope: s.name, RefersTo: sheet + header + ":$" + header}))
}

// letter is the name of the j-th column, up to Z.
func letter(j int) string { return string(rune('A' + j)) }
