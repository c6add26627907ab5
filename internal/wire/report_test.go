package wire_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/seal"
	"yipan/internal/wire"
)

func TestReportSignature(t *testing.T) {
	key, other := seal.NewSigningKey(), seal.NewSigningKey()
	const author = cases.NodeID(5203303)
	x, y := area.MustOf(area.County, "520330"), area.MustOf(area.Prefecture, "5203")
	h := cases.Head{
		Author: author, Side: cases.SideOpener, X: x, Y: y, Kind: cases.Report, Round: 1, T: 1, MinVersion: wire.MinVersion(cases.Report),
		Case: cases.NewReportID(author, x, y, "2026-10", cases.Snapshot), RecordedAt: time.UnixMilli(1_790_000_000_000),
	}
	b, err := wire.SignReport(&h, cases.Snapshot, "2026-10", []byte("97.26"), key)
	if err != nil {
		t.Fatal(err)
	}
	it, err := wire.NewItem(h, cases.Body{Report: b}, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeBody(it.BodyRaw)
	if err != nil || !wire.BodyFits(&h, &got) {
		t.Fatalf("decoded %v", err)
	}
	if d := cmp.Diff(b, got.Report); d != "" {
		t.Errorf("round trip (-want +got):\n%s", d)
	}
	keyOf := func(n cases.NodeID, id seal.KeyID) (seal.VerifyKey, bool) {
		return key.Public(), n == author && id == key.ID()
	}
	if !wire.VerifyReport(&h, got.Report, keyOf) {
		t.Fatal("a sound report does not verify")
	}
	for name, change := range map[string]func(*cases.Head, *cases.ReportBody){
		"author":    func(h *cases.Head, _ *cases.ReportBody) { h.Author++ },
		"case":      func(h *cases.Head, _ *cases.ReportBody) { h.Case[0]++ },
		"from":      func(h *cases.Head, _ *cases.ReportBody) { h.X++ },
		"to":        func(h *cases.Head, _ *cases.ReportBody) { h.Y++ },
		"form":      func(_ *cases.Head, b *cases.ReportBody) { b.Form = cases.Detail },
		"period":    func(_ *cases.Head, b *cases.ReportBody) { b.Period = "2026-11" },
		"content":   func(_ *cases.Head, b *cases.ReportBody) { b.Content = []byte("97.19") },
		"moved on":  func(_ *cases.Head, b *cases.ReportBody) { b.Period, b.Content = "2026-109", []byte("7.26") },
		"key":       func(_ *cases.Head, b *cases.ReportBody) { b.KeyID = other.ID() },
		"signature": func(_ *cases.Head, b *cases.ReportBody) { b.Signature = bytes.Repeat([]byte{1}, len(b.Signature)) },
		"none":      func(_ *cases.Head, b *cases.ReportBody) { b.Signature = nil },
	} {
		hc, bc := h, *b
		change(&hc, &bc)
		if wire.VerifyReport(&hc, &bc, keyOf) {
			t.Errorf("%s changed, and it verifies", name)
		}
		if name == "form" || name == "period" || name == "from" || name == "to" || name == "author" || name == "case" {
			if wire.BodyFits(&hc, &cases.Body{Report: &bc}) {
				t.Errorf("%s changed, and it fits its leg", name)
			}
		}
	}
}

func TestReportLimits(t *testing.T) {
	key := seal.NewSigningKey()
	h := cases.Head{Author: 5203303, Kind: cases.Report, Side: cases.SideOpener, X: area.MustOf(area.County, "520330"), Y: area.MustOf(area.Prefecture, "5203"), Round: 1}
	b, err := wire.SignReport(&h, cases.Detail, "2026", make([]byte, wire.MaxReportBytes), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.NewItem(h, cases.Body{Report: b}, 0); err != nil {
		t.Errorf("the longest report is no item: %v", err)
	}
	for name, err := range map[string]error{
		"too long":          second(wire.SignReport(&h, cases.Detail, "2026", make([]byte, wire.MaxReportBytes+1), key)),
		"of no form":        second(wire.SignReport(&h, 0, "2026", nil, key)),
		"of a later form":   second(wire.SignReport(&h, 99, "2026", nil, key)),
		"about a long time": second(wire.SignReport(&h, cases.Detail, "2026-01-01/2026-12-31", nil, key)),
	} {
		if !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for k, want := range map[cases.ItemKind]uint32{cases.Open: 1, cases.Receipt: 1, cases.Report: 2, cases.Extend: 2} {
		if got := wire.MinVersion(k); got != want {
			t.Errorf("%s needs version %d, want %d", k, got, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
