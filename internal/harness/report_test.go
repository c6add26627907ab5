package harness

import (
	"bytes"
	"context"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/exchange"
	"yipan/internal/fault"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
	"yipan/internal/wire"
)

var prefecture = area.MustOf(area.Prefecture, "5203")

func snapshot(from, to area.Key, content string) exchange.Report {
	return exchange.Report{From: from, To: to, Form: cases.Snapshot, Period: "2026-10", Content: []byte(content)}
}

// reports returns what a site was told and has not read.
func (w *watched) reports(s *Site) []store.ReportIn {
	w.t.Helper()
	var out []store.ReportIn
	err := s.DB.InExchange(w.t.Context(), nil, func(tx *store.Tx) (err error) {
		out, err = tx.ReportsIn(w.t.Context(), 1000)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *watched) send(s *Site, rs ...exchange.Report) {
	w.t.Helper()
	if err := s.Exchange.SendReports(w.t.Context(), rs); err != nil {
		w.t.Fatal(err)
	}
}

func TestReportArrivesOnce(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	long := bytes.Repeat([]byte{7}, wire.MaxReportBytes)
	w.send(a, snapshot(origin, residence, "one"), snapshot(origin, residence, "one"))
	w.send(a, snapshot(origin, residence, "one")) // again, letter for letter
	w.send(a, exchange.Report{From: originTown, To: residence, Form: cases.Comparison, Period: "2026-10", Content: long})
	w.settle()
	w.settle()
	got := w.reports(b)
	if len(got) != 2 || string(got[0].Content)+string(got[1].Content) != "one"+string(long) && string(got[1].Content)+string(got[0].Content) != "one"+string(long) {
		t.Fatalf("%d reports came", len(got))
	}
	for _, r := range got {
		h := cases.Head{Author: r.Author, X: r.X, Y: r.Y, Case: cases.NewReportID(r.Author, r.X, r.Y, r.Period, r.Form)}
		body := cases.ReportBody{Form: r.Form, Period: r.Period, Content: r.Content, KeyID: r.KeyID, Signature: r.Signature}
		if r.Author != a.Node || r.Y != residence || !wire.VerifyReport(&h, &body, b.Directory().VerifyKey) {
			t.Errorf("report of %s to %s does not prove itself", r.Author, r.Y)
		}
		body.Period = "2026-09"
		if wire.VerifyReport(&h, &body, b.Directory().VerifyKey) {
			t.Error("its signature holds for another month")
		}
	}
	// A correction goes the same way, beside the first.
	w.send(a, snapshot(origin, residence, "two"))
	w.settle()
	if err := b.DB.InExchange(t.Context(), nil, func(tx *store.Tx) error { return tx.MarkReportDone(t.Context(), got[0].Item, w.Clock.Now()) }); err != nil {
		t.Fatal(err)
	}
	if n := len(w.reports(b)); n != 2 {
		t.Errorf("%d reports to read after one was read and one came", n)
	}
	if n := w.count(b, `leg`); n != 2 {
		t.Errorf("%d legs", n)
	}
	admin := access.Principal{ID: "admin-test", Role: access.Admin}
	if v, err := b.Desk.Node(t.Context(), admin); err != nil || v.Cases != 0 {
		t.Errorf("reports count as %d cases, %v", v.Cases, err)
	}
	if n := w.count(b, `case_side`); n != 0 {
		t.Errorf("%d offices see a report as a case", n)
	}
	// The body lies encrypted, as every other.
	if n := w.count(b, `item WHERE kind = 11 AND position($1::bytea in body) > 0`, []byte("one")); n != 0 {
		t.Error("a report lies open among the items")
	}
	w.mend()
	if n := w.count(b, `cover WHERE reason <> 0`); n != 0 {
		t.Errorf("%d verdicts against sound reports", n)
	}
}

func TestReportsOfOthersAreNotSent(t *testing.T) {
	w := watch(t, origin, residence)
	a := w.Sites[0]
	for name, c := range map[string]struct {
		r    exchange.Report
		kind fault.Kind
	}{
		"an area of another node": {snapshot(residence, origin, "x"), fault.KindInternal},
		"to itself":               {snapshot(origin, origin, "x"), fault.KindInternal},
		"too long":                {snapshot(origin, residence, string(make([]byte, wire.MaxReportBytes+1))), fault.KindInvalid},
		"of no form":              {exchange.Report{From: origin, To: residence, Period: "2026-10"}, fault.KindInvalid},
	} {
		if err := a.Exchange.SendReports(t.Context(), []exchange.Report{c.r}); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.count(a, `item`); n != 0 {
		t.Errorf("%d items were written", n)
	}
}

// report is a REPORT as somebody might write it: author says whose, key signs.
func (w *watched) report(author cases.NodeID, x, y area.Key, content string, key seal.SigningKey, change func(*cases.Head, *cases.ReportBody)) cases.Item {
	w.t.Helper()
	now := w.Clock.Now().Truncate(time.Millisecond)
	h := cases.Head{
		Author: author, Side: cases.SideOpener, Case: cases.NewReportID(author, x, y, "2026-10", cases.Snapshot), X: x, Y: y,
		Kind: cases.Report, Round: 1, T: now.UnixMilli(), MinVersion: 2, RecordedAt: now,
	}
	b, err := wire.SignReport(&h, cases.Snapshot, "2026-10", []byte(content), key)
	if err != nil {
		w.t.Fatal(err)
	}
	if change != nil {
		change(&h, b)
	}
	it, err := wire.NewItem(h, cases.Body{Report: b}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return it
}

// A home packs, and signs as its own parcel, what is not what its author signed;
// each is rejected for good, with a reason that the sender sees.
func TestTamperedReports(t *testing.T) {
	for name, c := range map[string]struct {
		want cases.Reject
		make func(w *watched, a, b, c *Site) cases.Item
	}{
		"a byte of the content": {cases.BadlySigned, func(w *watched, a, _, _ *Site) cases.Item {
			return w.report(a.Node, origin, residence, "97.26", a.Keys.Signing(), func(_ *cases.Head, b *cases.ReportBody) { b.Content[3]++ })
		}},
		"a byte of the signature": {cases.BadlySigned, func(w *watched, a, _, _ *Site) cases.Item {
			return w.report(a.Node, origin, residence, "97.26", a.Keys.Signing(), func(_ *cases.Head, b *cases.ReportBody) { b.Signature[0] ^= 1 })
		}},
		"a key of nobody": {cases.BadlySigned, func(w *watched, a, _, _ *Site) cases.Item {
			return w.report(a.Node, origin, residence, "97.26", seal.NewSigningKey(), nil)
		}},
		"another node's key": {cases.BadlySigned, func(w *watched, a, _, c *Site) cases.Item {
			return w.report(a.Node, origin, residence, "97.26", c.Keys.Signing(), nil)
		}},
		"another month under the old leg": {cases.Unreadable, func(w *watched, a, _, _ *Site) cases.Item {
			return w.report(a.Node, origin, residence, "97.26", a.Keys.Signing(), func(_ *cases.Head, b *cases.ReportBody) { b.Period = "2026-11" })
		}},
		"another receiver's": {cases.Unreadable, func(w *watched, a, _, _ *Site) cases.Item {
			return w.report(a.Node, origin, third, "97.26", a.Keys.Signing(), func(h *cases.Head, _ *cases.ReportBody) { h.Y = residence })
		}},
		"about an area of others": {cases.NotHome, func(w *watched, a, _, _ *Site) cases.Item {
			return w.report(a.Node, third, residence, "97.26", a.Keys.Signing(), nil)
		}},
		"by the receiver's side": {cases.NotItsVerb, func(w *watched, a, _, _ *Site) cases.Item {
			return w.report(a.Node, origin, residence, "97.26", a.Keys.Signing(), func(h *cases.Head, _ *cases.ReportBody) { h.Side = cases.SideReceiver })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := watch(t, origin, residence, third)
			a, b := w.Sites[0], w.Sites[1]
			it := c.make(w, a, b, w.Sites[2])
			got := w.absorb(b, w.forge(a.Node, a.Keys.Signing(), b, wire.Parcel{Items: []cases.Item{it}}))
			if n := len(w.reports(b)); n != 0 {
				t.Errorf("%d reports to read", n)
			}
			if n := w.count(b, `cover WHERE item = $1 AND reason = $2`, [16]byte(it.ID), int16(c.want)); n != 1 {
				t.Errorf("it is not rejected as %q", c.want)
			}
			w.absorb(a, got.Answers[0].Bytes) // and its sender is told so
			if n := w.count(a, `cover WHERE item = $1 AND reason = $2`, [16]byte(it.ID), int16(c.want)); n != 1 {
				t.Error("the sender does not learn that")
			}
		})
	}
}

// Nobody but its author brings a report, unless with a proof that the author
// signed just that.
func TestForgedAuthorOfReport(t *testing.T) {
	w := watch(t, origin, residence, third)
	a, b, c := w.Sites[0], w.Sites[1], w.Sites[2]
	w.send(a, snapshot(origin, residence, "97.19"))
	honest := unseal(t, b, w.pack(a, b).Bytes)
	proof, err := wire.NewReceipt(c.Node, c.Keys.Signing(), unseal(t, c, w.forge(a.Node, a.Keys.Signing(), c, wire.Parcel{Items: honest.Items})), w.Clock.Now(), wire.Verdicts{})
	if err != nil {
		t.Fatal(err)
	}
	forged := w.report(a.Node, origin, residence, "97.26", c.Keys.Signing(), nil)
	changed := w.report(a.Node, origin, residence, "97.19", a.Keys.Signing(), func(_ *cases.Head, r *cases.ReportBody) { r.Content[4]++ })
	for _, it := range []cases.Item{forged, changed} {
		for _, receipts := range [][]cases.Item{nil, {proof}} {
			w.absorb(b, w.forge(c.Node, c.Keys.Signing(), b, wire.Parcel{Items: []cases.Item{it}, Receipts: receipts}))
		}
	}
	if n := w.count(b, `item WHERE kind = 11`) + w.count(b, `report_in`); n != 0 {
		t.Errorf("%d rows of forged reports are held", n)
	}
	// With the proof, the true one passes a third hand.
	w.absorb(b, w.forge(c.Node, c.Keys.Signing(), b, wire.Parcel{Items: honest.Items, Receipts: []cases.Item{proof}}))
	if got := w.reports(b); len(got) != 1 || string(got[0].Content) != "97.19" {
		t.Errorf("the true report did not pass: %d", len(got))
	}
}

func TestStatementMendsLostReport(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	w.open(a, 1, towns(t, residence, 1)[0])
	w.settle()
	before := w.backup(b)
	w.send(a, snapshot(origin, residence, "one"))
	w.settle()
	if len(w.reports(b)) != 1 {
		t.Fatal("no report came")
	}
	w.restore(before) // the receiver forgot it, and a is sure that it holds it
	if len(w.reports(b)) != 0 {
		t.Fatal("the backup knows the report")
	}
	w.mend()
	if got := w.reports(b); len(got) != 1 || string(got[0].Content) != "one" {
		t.Errorf("%d reports after the statements", len(got))
	}
}

func TestRestoredNodeGetsItsReportsBack(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	w.open(a, 1, towns(t, residence, 1)[0])
	w.settle()
	before := w.backup(a)
	w.send(a, snapshot(origin, residence, "one"))
	w.settle()
	w.restore(before)
	w.mend()
	w.send(a, snapshot(origin, residence, "one")) // it knows that it sent this
	w.mend()
	if n := w.count(a, `item WHERE kind = 11`); n != 1 {
		t.Errorf("the author holds %d reports", n)
	}
	if n := len(w.reports(b)); n != 1 {
		t.Errorf("%d reports came", n)
	}
	// Sent again before it knew, there are two of the same content.
	w.restore(before)
	w.send(a, snapshot(origin, residence, "one"))
	w.mend()
	if n, m := w.count(a, `item WHERE kind = 11`), w.count(b, `report_in`); n != 2 || m != 2 {
		t.Errorf("%d and %d", n, m)
	}
	if n := w.count(a, `report_in`); n != 0 {
		t.Errorf("its own reports are told to it %d times", n)
	}
}

// Where nobody serves the other area yet a report waits, and leaves when
// somebody does (rule T).
func TestReportToAnAreaWithoutNode(t *testing.T) {
	w := watch(t, origin)
	a := w.Sites[0]
	w.send(a, snapshot(origin, prefecture, "one"))
	w.settle()
	if n := w.count(a, `share`); n != 0 {
		t.Fatalf("%d rows of what is owed to nobody", n)
	}
	url := storetest.NewURL(t)
	p, err := w.AddSite(storetest.Open(t, url), prefecture)
	if err != nil {
		t.Fatal(err)
	}
	w.raw[p.Node], w.url[p.Node] = storetest.Raw(t, url), url
	w.settle()
	if got := w.reports(p); len(got) != 1 || string(got[0].Content) != "one" {
		t.Errorf("%d reports after the prefecture joined", len(got))
	}
	w.mend()
}

// Within one node a report is there at once.
func TestReportWithinOneNode(t *testing.T) {
	w := watch(t, origin)
	a := w.Sites[0]
	w.send(a, snapshot(originTown, origin, "one"))
	w.send(a, snapshot(originTown, origin, "one"))
	if got := w.reports(a); len(got) != 1 || string(got[0].Content) != "one" || got[0].HeldAt.IsZero() {
		t.Errorf("%d reports", len(got))
	}
}

// What moved with its area's home is told to the new home, too.
func TestReportFollowsTheHome(t *testing.T) {
	w := watch(t, origin, residence, third)
	a, b, c := w.Sites[0], w.Sites[1], w.Sites[2]
	w.send(a, snapshot(origin, residence, "one"))
	w.settle()
	d := w.Authority.Directory()
	eb, _ := d.Node(b.Node)
	ec, _ := d.Node(c.Node)
	if err := w.Admit(b, nil, eb.Serial); err != nil {
		t.Skip("a node must serve something: ", err)
	}
	if err := w.Admit(c, []area.Key{third, residence}, ec.Serial); err != nil {
		t.Fatal(err)
	}
	if err := w.Learn(); err != nil {
		t.Fatal(err)
	}
	w.mend()
	if got := w.reports(c); len(got) != 1 || got[0].Author != a.Node {
		t.Errorf("%d reports at the new home", len(got))
	}
}

// So it is with EXTEND: the due stays apart until the other node is upgraded.
func TestVersion1GetsNoExtend(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	id := w.open(a, 1, y)
	w.settle()
	speaks := func(v uint32) {
		if err := b.DB.InExchange(t.Context(), nil, func(tx *store.Tx) error { return tx.HeardFrom(t.Context(), a.Node, v, w.Clock.Now()) }); err != nil {
			t.Fatal(err)
		}
	}
	w.clockTo(at("2026-11-24 09:00"))
	speaks(1)
	if _, err := b.Desk.DeclareOutage(t.Context(), Clerk(access.County, residence), declare(residence, "2026-11-21 08:00", "2026-11-22 20:00")); err != nil {
		t.Fatal(err)
	}
	if ps, _, err := b.Exchange.Pack(t.Context(), a.Node); err != nil || len(ps) != 0 {
		t.Errorf("%d parcels for a peer that cannot read them, %v", len(ps), err)
	}
	peers, _, err := b.Desk.Peers(t.Context(), access.Principal{ID: "admin-test", Role: access.Admin})
	if err != nil || len(peers) != 1 || peers[0].Unsettled != 1 {
		t.Errorf("%+v, %v", peers, err)
	}
	if x, r := w.sideOf(a, originTown, id), w.sideOf(b, y, id); x.Extended != 0 || r.Extended != 2 {
		t.Errorf("put off by %d and %d days", x.Extended, r.Extended)
	}
	speaks(2)
	w.settle()
	w.sameFigures(a, b, y, id)
	if x := w.sideOf(a, originTown, id); x.Extended != 2 {
		t.Errorf("after the upgrade put off by %d days", x.Extended)
	}
}

// A peer that speaks version 1 gets what it can read; the rest is held back, and
// stays to be seen as unsettled.
func TestVersion1GetsNoReports(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	old := func(s *Site, v uint32) {
		if err := s.DB.InExchange(t.Context(), nil, func(tx *store.Tx) error {
			return tx.HeardFrom(context.WithoutCancel(t.Context()), b.Node, v, w.Clock.Now())
		}); err != nil {
			t.Fatal(err)
		}
	}
	old(a, 1)
	w.send(a, snapshot(origin, residence, "one"))
	w.open(a, 1, towns(t, residence, 1)[0])
	p := unseal(t, b, w.pack(a, b).Bytes)
	if len(p.Items) != 1 || p.Items[0].Head.Kind != cases.Open {
		t.Fatalf("a peer of version 1 is sent %d items", len(p.Items))
	}
	admin := access.Principal{ID: "admin-test", Role: access.Admin}
	peers, _, err := a.Desk.Peers(t.Context(), admin)
	if err != nil || len(peers) != 1 || peers[0].Unsettled != 2 {
		t.Errorf("%+v, %v", peers, err)
	}
	old(a, 2)
	p = unseal(t, b, w.pack(a, b).Bytes)
	if len(p.Items) != 1 || p.Items[0].Head.Kind != cases.Report {
		t.Errorf("after its upgrade it is sent %d items", len(p.Items))
	}
	if v, ok := a.Directory().Speaks(b.Node); !ok || v != (directory.Versions{Min: 1, Max: wire.Version}) {
		t.Errorf("the directory says %v", v)
	}
}
