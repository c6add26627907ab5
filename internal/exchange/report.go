package exchange

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// Report is counts to be sent from an area of this node to another area. Its
// leg's case id follows from both areas, form and period.
type Report struct {
	From, To area.Key
	Form     cases.ReportForm
	Period   string // at most 16 bytes
	Content  []byte // at most 60 KiB
}

// reportsAtOnce bounds one transaction.
const reportsAtOnce = 64

// SendReports writes reports as signed items, owed to the homes of both areas as
// everything is (rule T): where nobody serves the other area yet they wait. What
// was sent on the same leg before, letter for letter, is not sent again. Errors:
// Internal REPORT_FROM where this node does not serve an area that a report comes
// from; Invalid REPORT_TOO_LARGE, REPORT_FORM.
func (x *Exchange) SendReports(ctx context.Context, rs []Report) error {
	for _, r := range rs {
		if !x.Book.IsHome(r.From) || r.From == r.To {
			return fault.Internal("REPORT_FROM", "a report from %s to %s is not this node's", r.From, r.To)
		}
	}
	for part := range slices.Chunk(rs, reportsAtOnce) {
		err := x.DB.InExchange(ctx, nil, func(tx *store.Tx) error { return x.sendReports(ctx, tx, part) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *Exchange) sendReports(ctx context.Context, tx *store.Tx, rs []Report) error {
	begun := map[cases.CaseID]*book.Case{}
	legs := map[cases.CaseID]store.Leg{}
	ids := make([]cases.CaseID, len(rs))
	for i, r := range rs {
		id := cases.NewReportID(x.Self(), r.From, r.To, r.Period, r.Form)
		ids[i] = id
		if begun[id] == nil {
			begun[id], legs[id] = x.Book.New(id, r.From, r.To)
		}
	}
	var sorted []store.Leg
	for _, id := range slices.SortedFunc(maps.Keys(legs), func(a, b cases.CaseID) int { return bytes.Compare(a[:], b[:]) }) {
		sorted = append(sorted, legs[id])
	}
	fresh, err := tx.InsertNewLegs(ctx, sorted)
	if err != nil {
		return err
	}
	var held []cases.CaseID
	for _, l := range sorted {
		if !fresh[l.Case] {
			held = append(held, l.Case)
		}
	}
	var sent map[cases.CaseID][][]byte
	if len(held) > 0 {
		cs, err := x.Book.Load(ctx, tx, held)
		if err != nil {
			return err
		}
		maps.Copy(begun, cs)
		if sent, err = x.contents(ctx, tx, cs); err != nil {
			return err
		}
	} else {
		sent = map[cases.CaseID][][]byte{}
	}
	var entries []book.Entry
	for i, r := range rs {
		c := begun[ids[i]]
		if slices.ContainsFunc(sent[c.ID], func(b []byte) bool { return bytes.Equal(b, r.Content) }) {
			continue
		}
		sent[c.ID] = append(sent[c.ID], r.Content)
		h := cases.Head{Author: x.Self(), Case: c.ID, X: c.X, Y: c.Y, Kind: cases.Report, Side: cases.SideOpener, Round: 1}
		b, err := wire.SignReport(&h, r.Form, r.Period, r.Content, x.Keys.Signing())
		if err != nil {
			return err
		}
		entries = append(entries, book.Entry{Case: c, Head: h, Body: cases.Body{Report: b}})
	}
	items, err := x.Book.Author(ctx, tx, entries)
	if err != nil {
		return err
	}
	var in []store.ReportIn
	for i := range items {
		if h := &items[i].Head; x.Book.IsHome(h.Y) {
			in = append(in, reportIn(&items[i], entries[i].Body.Report, h.RecordedAt))
		}
	}
	return tx.AddReportsIn(ctx, in)
}

// contents returns what this node reported on legs before, by leg.
func (x *Exchange) contents(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*book.Case) (map[cases.CaseID][][]byte, error) {
	var ids []cases.ItemID
	of := map[cases.ItemID]cases.CaseID{}
	for _, c := range cs {
		for i := range c.Items {
			if it := &c.Items[i]; it.Head.Kind == cases.Report && it.Head.Author == x.Self() {
				ids, of[it.ID] = append(ids, it.ID), c.ID
			}
		}
	}
	bodies, err := x.Book.BodiesOf(ctx, tx, cs, ids)
	out := map[cases.CaseID][][]byte{}
	for id, b := range bodies {
		if b.Report != nil {
			out[of[id]] = append(out[of[id]], b.Report.Content)
		}
	}
	return out, err
}

// reportIn is a report as its receiver keeps it.
func reportIn(it *cases.Item, b *cases.ReportBody, heldAt time.Time) store.ReportIn {
	h := &it.Head
	return store.ReportIn{
		Item: it.ID, Author: h.Author, X: h.X, Y: h.Y, Form: b.Form, Period: b.Period, Content: b.Content, KeyID: b.KeyID, Signature: b.Signature,
		RecordedAt: h.RecordedAt, HeldAt: heldAt,
	}
}

// badReport reports whether the signature that a report carries is not its
// author's: then somebody changed it, or made it up.
func (in *inbound) badReport(it *cases.Item, b *cases.Body) bool {
	if b.Report == nil || wire.VerifyReport(&it.Head, b.Report, in.x.keyOf) {
		return false
	}
	in.x.Log.Warn("report without its author's signature is rejected", "peer", in.p.From.String(), "author", it.Head.Author.String(), "item", it.ID.String())
	return true
}

// reportFor is an accepted item as a report to this node, false where it is
// none, or came without its body.
func (in *inbound) reportFor(it *cases.Item) (store.ReportIn, bool) {
	if it.Head.Kind != cases.Report || it.Erased() || !in.x.Book.IsHome(it.Head.Y) {
		return store.ReportIn{}, false
	}
	b, err := wire.DecodeBody(it.BodyRaw)
	if err != nil || b.Report == nil {
		return store.ReportIn{}, false
	}
	return reportIn(it, b.Report, in.heldAt), true
}
