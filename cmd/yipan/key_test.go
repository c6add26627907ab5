package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/cli"
	"yipan/internal/node"
	"yipan/internal/seal"
	"yipan/internal/store"
)

func TestKeyRotation(t *testing.T) {
	dir := place(t)
	at := initNode(t, dir, "3:520330")
	ids := func() map[string]string { // of index keys, by state
		out := map[string]string{}
		for line := range strings.Lines(must(t, "key", "list", "--data", at, "--json")) {
			if m := decode(t, line); m["use"] == "index" {
				out[m["state"].(string)] = m["id"].(string)
			}
		}
		return out
	}
	before := ids()
	if len(before) != 2 || strings.Contains(must(t, "key", "list", "--data", at), "另有") {
		t.Errorf("a new node: %v", before)
	}
	refused := func(say string, args ...string) {
		t.Helper()
		if r := yipan(t, append(args, "--data", at)...); r.code != cli.ExitFailed || !strings.Contains(r.err, say) {
			t.Errorf("%v: %+v", args, r)
		}
	}
	refused("正在使用或待用", "key", "remove", before["current"])
	refused("不是密钥编号", "key", "remove", "x")
	refused("没有检索密钥", "key", "remove", strings.Repeat("0", len(before["current"])))

	rotated := decode(t, must(t, "key", "rotate", "--data", at, "--json"))
	after := ids()
	if rotated["old"] != before["current"] || after["old"] != before["current"] || after["current"] != before["next"] {
		t.Errorf("%v rotated to %v", before, after)
	}
	refused("上一次更换还没有结束", "key", "rotate")
	refused("不到 1 小时", "key", "remove", after["old"])

	// A file under the old key holds it.
	old, err := seal.ParseKeyID(after["old"])
	if err != nil {
		t.Fatal(err)
	}
	office := area.MustOf(area.Township, "520330001")
	person := store.Person{ID: cases.PersonID{1}, Office: office, Name: "测试甲", Key: []byte{0}, DocIndex: make([]byte, 16), IndexKey: old[:]}
	var out bytes.Buffer
	write := func(fn func(*store.Tx) error) {
		t.Helper()
		err := withStore(t.Context(), Configured{Config: at}, &cli.Env{Std: cli.Std{Out: &out, Err: &out}}, func(_ *node.Loaded, db *store.DB) error {
			return db.InDesk(context.Background(), []area.Key{office}, fn)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *store.Tx) error { return tx.AddPersons(t.Context(), []store.Person{person}) })
	refused("还有 1 行使用检索密钥", "key", "remove", after["old"])
	write(func(tx *store.Tx) error { return tx.ErasePerson(t.Context(), person.ID) })

	ring := filepath.Join(at, "keys", "keyring")
	b, err := os.ReadFile(ring)
	if err != nil {
		t.Fatal(err)
	}
	earlier := time.Now().Add(-2 * settling).UTC().Format(time.RFC3339)
	b = regexp.MustCompile(`(?m)^(index old \S+) \S+$`).ReplaceAll(b, []byte("$1 "+earlier))
	if err := os.WriteFile(ring, b, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "key", "remove", after["old"], "--data", at)
	if left := ids(); left["old"] != "" || left["current"] != after["current"] {
		t.Errorf("after the removal: %v", left)
	}
}
