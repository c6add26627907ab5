package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"yipan/internal/cli"
)

func TestAreaLoad(t *testing.T) {
	dir := place(t)
	node := initNode(t, dir, "3:520330")
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const head = "code,name,streetCode,provinceCode,cityCode,areaCode\n"
	const rows = head +
		"520330001001,\"甲村委会\",520330001,52,5203,520330\n" +
		"520330001002,\"乙社区\",520330001,52,5203,520330\n" +
		"52033000100,短,520330001,52,5203,520330\n" +
		"520330999001,无镇村,520330999,52,5203,520330\n" +
		"441900101005,石碣村,441900101,44,4419,441900\n"
	file := write("villages.csv", rows)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(strings.Replace(rows, "乙社区", "乙新村", 1))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	renamed := write("villages.csv.gz", packed.String())

	for _, c := range []struct {
		what string
		args []string
		code int
		say  []string
	}{
		{"first", []string{file}, cli.ExitOK, []string{"第 4 行：代码应为 12 位数字", "1 行所属的乡镇不在本程序的区划表中，没有载入：520330999", "读到 4 个村；新增 2，改名 0，不变 0；不在辖区 1，有错 1 行"}},
		{"again, packed, one renamed", []string{renamed}, cli.ExitOK, []string{"新增 0，改名 1，不变 1"}},
		{"another area", []string{file, "--area", "4419"}, cli.ExitOK, []string{"新增 1，改名 1，不变 1；不在辖区 0"}},
		{"all", []string{file, "--all", "--json"}, cli.ExitOK, []string{`"added":0`, `"unchanged":3`, `"unknown_townships":["520330999"]`, `"problems":[{"line":4`}},
		{"nothing of ours", []string{write("far.csv", head+"441900101006,远村,441900101,44,4419,441900\n")}, cli.ExitOK, []string{"没有载入任何村", "--all"}},
		{"GBK", []string{write("gbk.csv", head+"520330001003,\xbc\xd7\xb4\xe5,520330001,52,5203,520330\n")}, cli.ExitFailed, []string{"GBK", "CSV UTF-8"}},
		{"Excel", []string{write("excel.csv", head+"520330001004,丙村,520330001,52,5203,520330\n5.2033E+11,丁村,520330001,52,5203,520330\n")}, cli.ExitFailed, []string{"第 3 行", "科学计数法"}},
		{"cut", []string{write("cut.csv.gz", packed.String()[:40])}, cli.ExitFailed, []string{"读不到末尾"}},
		{"none", []string{filepath.Join(dir, "none.csv")}, cli.ExitFailed, []string{"没有文件"}},
		{"area that is none", []string{file, "--area", "9999"}, cli.ExitUsage, []string{"没有这个行政区划"}},
		// What a wrong file had before its wrong line was not kept.
		{"after the wrong ones", []string{write("third.csv", head+"520330001004,丙村,520330001,52,5203,520330\n")}, cli.ExitOK, []string{"新增 1"}},
	} {
		r := yipan(t, append([]string{"area", "load", "--data", node}, c.args...)...)
		if r.code != c.code {
			t.Errorf("%s: %+v", c.what, r)
		}
		for _, s := range c.say {
			if !strings.Contains(r.out+r.err, s) {
				t.Errorf("%s: %q is not in\n%s%s", c.what, s, r.out, r.err)
			}
		}
	}
}
