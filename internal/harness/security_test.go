package harness

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/ledger"
	"yipan/internal/wire"
)

// receiptShape is a receipt without what differs between any two of them.
func receiptShape(t *testing.T, it *cases.Item) cases.ReceiptBody {
	t.Helper()
	b, err := wire.DecodeBody(it.BodyRaw)
	if err != nil || b.Receipt == nil {
		t.Fatalf("receipt does not decode: %v", err)
	}
	m, err := wire.ParseManifest(b.Receipt.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	r := *b.Receipt
	r.Manifest, r.ManifestSignature, r.Signature, r.HeldAt = make([]byte, len(m.Items)), nil, nil, time.Time{}
	r.Covered, r.Aside = make([]cases.ItemID, len(r.Covered)), make([]cases.ItemID, len(r.Aside))
	return r
}

// SECURITY row 3: whether the receiver knows the person cannot be told from its
// receipt, nor from the parcel around it.
func TestSecurity03ReceiptsIndependentOfLedger(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	// The residence knows person 1 and no other: it has a consent of that person.
	if _, err := b.Desk.RecordConsent(t.Context(), Clerk(access.Clerk, y), desk.ConsentRequest{
		RequestID: "consent-0001", Office: y, Person: desk.PersonRef{Name: "测试甲", Document: notice(1, y).Fields.Document},
		Consent: desk.Consent{Recipient: originTown, Purpose: ledger.PurposeConfirm, TextVersion: "1", TextHash: [32]byte{1}, GivenHow: "paper"},
	}); err != nil {
		t.Fatal(err)
	}
	type seen struct {
		Parcels, Bytes, Receipts, Items int
		Shape                           cases.ReceiptBody
	}
	send := func(i int) seen {
		w.open(a, i, y)
		p := w.pack(a, b)
		got := w.absorb(b, p.Bytes)
		back := unseal(t, a, got.Answers[0].Bytes)
		w.absorb(a, got.Answers[0].Bytes)
		w.settle()
		if len(back.Receipts) != 1 {
			t.Fatalf("%d receipts", len(back.Receipts))
		}
		return seen{len(got.Answers), len(got.Answers[0].Bytes), len(back.Receipts), len(back.Items), receiptShape(t, &back.Receipts[0])}
	}
	present, absent, again := send(1), send(2), send(1001)
	if diff := cmp.Diff(present, absent); diff != "" {
		t.Errorf("person present and absent:\n%s", diff)
	}
	if diff := cmp.Diff(present, again); diff != "" {
		t.Errorf("person present and another absent one:\n%s", diff)
	}
	if n := w.count(b, `person`); n != 1 {
		t.Errorf("the residence's ledger has %d persons after notices", n)
	}
}

// SECURITY row 2: the answers of the three checks are recorded at any time and
// leave together, equal in size, when the round is over.
func TestSecurity02ThreeCheckDepartures(t *testing.T) {
	o := offer(t)
	results := []struct {
		result    string
		consented bool
	}{{ledger.OfferDeclined, false}, {ledger.OfferDone, false}, {ledger.OfferStandingRefusal, false}, {ledger.OfferNotReached, false}, {ledger.OfferDone, true}}
	ids := []cases.CaseID{o.id}
	for i := range results {
		ids = append(ids, o.open(o.a, 10+i, o.y))
	}
	ids = append(ids, o.open(o.a, 90, o.y)) // disclosed, and nothing is ever offered
	o.settle()
	for _, id := range ids[1:] {
		o.answer(o.b, o.y, id, residing)
	}
	o.mend() // the gates open: nothing but time keeps FEEDBACK here
	for i, r := range results {
		o.Clock.Add(time.Duration(1+i*i) * 13 * time.Hour)
		o.record(ids[1+i], 10+i, r.result, r.consented)
		ps, _, err := o.b.Exchange.Pack(t.Context(), o.a.Node)
		if err != nil || len(ps) != 0 || o.send() != 0 {
			t.Fatalf("something left when offer %d was recorded: %d parcels, %v", i, len(ps), err)
		}
	}
	o.endRound()
	if n := o.send(); n != len(ids) {
		t.Fatalf("%d of %d drafts left at the round's end", n, len(ids))
	}
	ps, _, err := o.b.Exchange.Pack(t.Context(), o.a.Node)
	if err != nil || len(ps) != 1 {
		t.Fatalf("%d parcels, %v", len(ps), err)
	}
	type shape struct {
		At        time.Time
		Head      int
		Body      int
		Terminal  bool
		OfferTurn uint32
	}
	released := 0
	shapes := map[shape]int{}
	for _, it := range unseal(t, o.a, ps[0].Bytes).Items {
		if it.Head.Kind != cases.Feedback {
			t.Errorf("a %v left beside", it.Head.Kind)
			continue
		}
		b, err := wire.DecodeBody(it.BodyRaw)
		if err != nil {
			t.Fatal(err)
		}
		if b.Feedback.Released {
			released++
		}
		shapes[shape{it.Head.RecordedAt, len(it.HeadRaw), len(it.BodyRaw), it.Head.Terminal, it.Head.OfferRound}]++
	}
	if len(shapes) != 1 {
		t.Errorf("departures differ: %v", fmt.Sprint(shapes))
	}
	for s := range shapes {
		if !s.At.Equal(o.round.Ends) {
			t.Errorf("recorded at %v, the round ends at %v", s.At, o.round.Ends)
		}
	}
	if released != 2 {
		t.Errorf("%d released, 2 persons consented", released)
	}
}
