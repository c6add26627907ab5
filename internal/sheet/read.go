package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"yipan/internal/fault"
)

// Limits of one roster. A township's largest is some 20,000 rows of 200 bytes.
const (
	MaxBytes     = 64 << 20 // of the file
	MaxLineBytes = 1 << 20  // of one line, and of one row with line breaks inside quotes
	MaxRows      = 200_000
	MaxProblems  = 1_000 // listed; one more says how many others there are
	maxCell      = 200   // characters
	titleRows    = 5     // that may stand above the header
)

// ReadRoster reads a roster as CSV, UTF-8 with or without byte order mark or
// GB18030 (told apart by the bytes), with any line ends and its columns in any
// order. Rows of nothing but empty cells, and a few title rows above the
// header, are passed over. Spaces around cells and full-width digits do not
// matter.
//
// rows are those without a problem other than warnings, in order. A person who
// stands twice in one kind keeps the first row. err, always Invalid except for
// a reader's own failure (Unavailable), means that nothing could be read:
//
//	ROSTER_FORMAT   an Excel workbook or UTF-16 instead of CSV
//	ROSTER_SIZE     over MaxBytes, MaxLineBytes or MaxRows
//	ROSTER_QUOTES   quotation marks that do not match (names the line)
//	ROSTER_COLUMN   a required column is missing, or one stands twice
//	ROSTER_EMPTY    no row below the header
func ReadRoster(r io.Reader) (rows []RosterRow, problems []Problem, err error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, nil, fault.Unavailable("ROSTER_READ", "read roster").Zh("名册读取失败").Because(err)
	}
	text, err := decode(data)
	if err != nil {
		return nil, nil, err
	}
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	p := parser{seen: map[string]int{}}
	if err := p.header(c); err != nil {
		return nil, nil, err
	}
	c.ReuseRecord = true
	for n := 0; ; {
		cells, line, err := next(c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if blank(cells) {
			continue
		}
		if n++; n > MaxRows {
			return nil, nil, tooLarge("名册超过 %d 行，请分成几个文件", MaxRows)
		}
		p.row(line, cells)
	}
	if len(p.rows) == 0 && len(p.problems) == p.warned {
		return nil, nil, fault.Invalid("ROSTER_EMPTY", "roster has no rows").Zh("名册表头以下没有数据").On("file")
	}
	if p.more > 0 {
		p.problems = append(p.problems, Problem{Line: p.moreAt, Reason: "ROSTER_MORE",
			Text: fmt.Sprintf("从这一行起另有 %d 处问题未列出，请先改正以上各处", p.more)})
	}
	return p.rows, p.problems, nil
}

func tooLarge(format string, a ...any) error {
	return fault.Invalid("ROSTER_SIZE", "roster is too large").Zh(format, a...).On("file")
}

// decode returns the file as text without its byte order mark. What is no
// UTF-8 as a whole is judged by its first line beyond ASCII, so that one broken
// character does not turn a whole file into another encoding; the broken ones
// come out as U+FFFD either way.
func decode(data []byte) (string, error) {
	switch {
	case len(data) > MaxBytes:
		return "", tooLarge("名册文件超过 %d MB，请分成几个文件", MaxBytes>>20)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		return "", fault.Invalid("ROSTER_FORMAT", "roster is a workbook, not CSV").
			Zh("这是 Excel 工作簿，请另存为“CSV UTF-8（逗号分隔）”后再导入").On("file")
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF}), bytes.IndexByte(data, 0) >= 0:
		return "", fault.Invalid("ROSTER_FORMAT", "roster is not UTF-8 or GB18030").
			Zh("文件编码不是 UTF-8 或 GB18030，请另存为“CSV UTF-8（逗号分隔）”后再导入").On("file")
	}
	for line := range bytes.Lines(data) {
		if len(line) > MaxLineBytes {
			return "", tooLarge("有一行超过 %d MB，文件可能不是名册", MaxLineBytes>>20)
		}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if utf8.Valid(data) {
		return string(data), nil
	}
	for line := range bytes.Lines(data) {
		if ascii(line) {
			continue
		}
		if utf8.Valid(line) {
			return strings.ToValidUTF8(string(data), "\uFFFD"), nil
		}
		break
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(data)
	if err != nil {
		return "", fault.Invalid("ROSTER_FORMAT", "roster is not GB18030").Zh("文件编码不是 UTF-8 或 GB18030").On("file").Because(err)
	}
	return string(text), nil
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// next returns a record and the line on which it begins.
func next(c *csv.Reader) ([]string, int, error) {
	cells, err := c.Read()
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, 0, fault.Invalid("ROSTER_QUOTES", "quotation marks of the roster do not match at line %d", bad.StartLine).
			Zh("第 %d 行起引号不成对，请检查该行的英文双引号", bad.StartLine).On("file")
	}
	if err != nil {
		return nil, 0, err // io.EOF: strings do not fail
	}
	size := 0
	for _, s := range cells {
		size += len(s)
	}
	line, _ := c.FieldPos(0)
	if size > MaxLineBytes {
		return nil, 0, tooLarge("第 %d 行起的一条记录超过 %d MB，引号可能不成对", line, MaxLineBytes>>20)
	}
	return cells, line, nil
}

func blank(cells []string) bool {
	for _, s := range cells {
		if strings.TrimSpace(s) != "" {
			return false
		}
	}
	return true
}

// A parser turns records into rows and problems.
type parser struct {
	at       [numColumns]int // index of each column in a record, -1: absent
	width    int             // cells of the header
	rows     []RosterRow
	problems []Problem
	warned   int            // problems of the header
	more     int            // problems beyond MaxProblems
	moreAt   int            // line of the first of them
	seen     map[string]int // kind and document to line
}

// header finds the header among the first records: the first that knows three
// columns; else the first record is taken for it, to name what it lacks.
func (p *parser) header(c *csv.Reader) error {
	best, bestLine := []string(nil), 1
	for range titleRows {
		cells, line, err := next(c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		known := 0
		for _, s := range cells {
			if _, ok := columnOf(s); ok {
				known++
			}
		}
		if best == nil || known >= 3 {
			best, bestLine = cells, line
		}
		if known >= 3 {
			break
		}
	}
	return p.columns(best, bestLine)
}

func (p *parser) columns(cells []string, line int) error {
	for i := range p.at {
		p.at[i] = -1
	}
	p.width = len(cells)
	for i, s := range cells {
		col, ok := columnOf(s)
		switch {
		case !ok && strings.TrimSpace(s) != "":
			p.problem(Problem{Line: line, Column: fmt.Sprintf("第 %d 列", i+1), Reason: "ROSTER_COLUMN_UNKNOWN",
				Text: "不认识这一列，未读取", Warning: true})
		case ok && p.at[col] >= 0:
			return fault.Invalid("ROSTER_COLUMN", "column %s stands twice", columns[col].names[len(columns[col].names)-1]).
				Zh("第 %d 行表头中“%s”出现两次（第 %d 列和第 %d 列）", line, col, p.at[col]+1, i+1).On("file")
		case ok:
			p.at[col] = i
		}
	}
	p.warned = len(p.problems)
	var zh, en []string
	for i, c := range columns {
		if c.required && p.at[i] < 0 {
			zh, en = append(zh, "“"+c.names[0]+"”"), append(en, c.names[len(c.names)-1])
		}
	}
	if len(zh) > 0 {
		return fault.Invalid("ROSTER_COLUMN", "required columns missing: %s", strings.Join(en, ", ")).
			Zh("名册缺少必需的列：%s", strings.Join(zh, "、")).On("file")
	}
	return nil
}

func columnOf(header string) (column, bool) {
	h := strings.ToLower(strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\n', '\r', '\u3000', '\u00A0', '\uFEFF', '*':
			return -1
		}
		return narrow(r)
	}, header))
	for i, c := range columns {
		for _, n := range c.names {
			if h == n {
				return column(i), true
			}
		}
	}
	return 0, false
}

func (p *parser) problem(q Problem) {
	if len(p.problems) < MaxProblems {
		p.problems = append(p.problems, q)
		return
	}
	if p.more == 0 {
		p.moreAt = q.Line
	}
	p.more++
}
