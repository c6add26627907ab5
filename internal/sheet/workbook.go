package sheet

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"yipan/internal/fault"
)

// Limits of a workbook that somebody typed.
const (
	MaxWorkbookBytes = 16 << 20 // of the file
	maxUnpackedBytes = 32 << 20
	maxSheets        = 50
	maxSheetRows     = 5_000 // with something in them
	maxSheetColumns  = 200   // what stands further right is passed over
	maxSheetCells    = 2_000_000
	maxNumber        = 1e15 // Excel keeps no more digits
)

// A Table is one visible sheet of a workbook. Rows are those with something in
// them, in order.
type Table struct {
	Name string
	Rows [][]Cell
}

// Cell is a cell that is not empty.
type Cell struct {
	Row, Column int    // from 1
	Text        string // as stored; of a number its digits
	Number      bool   // stored as a number
	Percent     bool   // a number whose format shows it a hundred times as large
}

// At names the cell as Excel does, "B5".
func (c *Cell) At() string {
	name, err := excelize.CoordinatesToCellName(c.Column, c.Row)
	if err != nil {
		return fmt.Sprintf("R%dC%d", c.Row, c.Column)
	}
	return name
}

// ReadWorkbook reads what the visible sheets of an Excel workbook (.xlsx) hold;
// of formulas the values as they were last computed. Errors are Invalid:
//
//	WORKBOOK_FORMAT  no .xlsx: an old .xls, one with a password, or another file
//	WORKBOOK_SIZE    larger than the limits
func ReadWorkbook(data []byte) (tables []Table, err error) {
	switch {
	case len(data) > MaxWorkbookBytes:
		return nil, largeWorkbook()
	case bytes.HasPrefix(data, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		return nil, noWorkbook("这是旧版 .xls 工作簿，或设有打开密码；请在 Excel 中取消密码并另存为 .xlsx", nil)
	case !bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return nil, noWorkbook("这不是 Excel 工作簿（.xlsx）", nil)
	}
	// A file that somebody sends may be made to break its reader.
	defer func() {
		if r := recover(); r != nil {
			tables, err = nil, damaged(fmt.Errorf("reader panicked: %v", r))
		}
	}()
	// One limit for all parts and for each keeps every part out of temporary files.
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{
		RawCellValue: true, UnzipSizeLimit: maxUnpackedBytes, UnzipXMLSizeLimit: maxUnpackedBytes,
	})
	if err != nil {
		if strings.Contains(err.Error(), "unzip size exceeds") { // has no value of its own
			return nil, largeWorkbook()
		}
		return nil, damaged(err)
	}
	defer f.Close()
	w := workbook{file: f, percent: map[int]bool{}}
	return w.read()
}

func noWorkbook(zh string, cause error) error {
	e := fault.Invalid("WORKBOOK_FORMAT", "file is no workbook").Zh("%s", zh).On("file")
	if cause != nil {
		return e.Because(cause)
	}
	return e
}

func damaged(cause error) error {
	return noWorkbook("文件已损坏，无法作为 .xlsx 打开", cause)
}

func largeWorkbook() error {
	return fault.Invalid("WORKBOOK_SIZE", "workbook is too large").
		Zh("工作簿过大：文件不超过 %d MB，每张表不超过 %d 行", MaxWorkbookBytes>>20, maxSheetRows).On("file")
}

type workbook struct {
	file    *excelize.File
	percent map[int]bool // by style
}

func (w *workbook) read() (out []Table, err error) {
	w.file.Pkg.Range(func(_, content any) bool {
		if b, ok := content.([]byte); ok && w.cells(b) > maxSheetCells {
			err = largeWorkbook()
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	names := w.file.GetSheetList()
	switch {
	case len(names) == 0:
		return nil, noWorkbook("这不是 Excel 工作簿（.xlsx）", nil)
	case len(names) > maxSheets:
		return nil, largeWorkbook()
	}
	for _, name := range names {
		shown, err := w.file.GetSheetVisible(name)
		if err != nil {
			return nil, damaged(err)
		}
		if !shown {
			continue
		}
		t := Table{Name: name}
		if err := w.sheet(&t); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// cells counts the cells that a part of the file makes, if it is a sheet: a row
// is filled up to its last cell, and all rows above the last one are made, so
// that a few bytes can ask for a whole sheet.
func (w *workbook) cells(part []byte) (n int) {
	d := xml.NewDecoder(bytes.NewReader(part))
	d.CharsetReader = w.file.CharsetReader
	last, column, rows := 0, 0, 0
	for n+last+rows/8 <= maxSheetCells {
		token, err := d.Token()
		if err != nil {
			break // the end, or what the reader will not read either
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "row" && e.Name.Local != "c" {
			continue
		}
		if e.Name.Local == "row" {
			n, last, column = n+last, 0, 0
			rows++
		} else {
			column++
		}
		for _, a := range e.Attr {
			if a.Name.Local != "r" {
				continue
			}
			if e.Name.Local == "row" {
				r, _ := strconv.Atoi(a.Value) // the reader refuses what is no number
				rows = max(rows, r)
			} else if c, _, err := excelize.CellNameToCoordinates(a.Value); err == nil {
				column = c
			}
		}
		last = max(last, column)
	}
	return n + last + rows/8
}

// sheet reads a sheet. Its rows are read as they stand in the file: asked for by
// name, each cell of a merged range would hold what the first one holds.
func (w *workbook) sheet(t *Table) error {
	rows, err := w.file.Rows(t.Name)
	if err != nil {
		return damaged(err)
	}
	defer rows.Close()
	for n := 1; rows.Next(); n++ {
		values, err := rows.Columns()
		if err != nil {
			return damaged(err)
		}
		var cells []Cell
		for j, v := range values[:min(len(values), maxSheetColumns)] {
			c := Cell{Row: n, Column: j + 1, Text: tidy(v)}
			if c.Text == "" {
				continue
			}
			if err := w.number(t.Name, &c); err != nil {
				return damaged(err)
			}
			cells = append(cells, c)
		}
		if len(cells) > 0 {
			t.Rows = append(t.Rows, cells)
		}
		if len(t.Rows) > maxSheetRows {
			return largeWorkbook()
		}
	}
	if err := rows.Error(); err != nil {
		return damaged(err)
	}
	return nil
}

// number says of a cell whether it is stored as a number.
func (w *workbook) number(sheet string, c *Cell) error {
	v, err := strconv.ParseFloat(c.Text, 64)
	if err != nil || !(math.Abs(v) < maxNumber) {
		return nil //nolint:nilerr // it is text
	}
	kind, err := w.file.GetCellType(sheet, c.At())
	if err != nil || kind != excelize.CellTypeUnset && kind != excelize.CellTypeNumber {
		return err
	}
	style, err := w.file.GetCellStyle(sheet, c.At())
	if err != nil {
		return err
	}
	percent, ok := w.percent[style]
	if !ok {
		s, err := w.file.GetStyle(style)
		if err != nil {
			return err
		}
		percent = s.NumFmt == 9 || s.NumFmt == 10 || s.CustomNumFmt != nil && scales(*s.CustomNumFmt) // built in: 0% and 0.00%
		w.percent[style] = percent
	}
	c.Number, c.Percent = true, percent
	return nil
}

// scales reports whether a number format shows a number a hundred times as
// large: it has a percent sign outside of quotes and escapes.
func scales(code string) bool {
	quoted := false
	for i := 0; i < len(code); i++ {
		switch c := code[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\\' || c == '_' || c == '*':
			i++
		case c == '%':
			return true
		}
	}
	return false
}
