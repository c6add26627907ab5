package harness

import (
	"fmt"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/exchange"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/services"
	"yipan/internal/store/storetest"
)

// backup is a copy of a site's database and the directory that it knew.
type backup struct {
	site *Site
	url  string
}

func (w *watched) backup(s *Site) backup {
	w.t.Helper()
	s.DB.Close()
	w.raw[s.Node].Close()
	b := backup{s, storetest.Copy(w.t, w.url[s.Node])}
	w.run(s, w.url[s.Node])
	return b
}

// restore puts a site back to a backup; its keys and its journal stay.
func (w *watched) restore(b backup) {
	w.t.Helper()
	b.site.DB.Close()
	w.raw[b.site.Node].Close()
	w.run(b.site, storetest.Copy(w.t, b.url))
}

// run starts a site as a node starts: the journal is replayed before anything
// else.
func (w *watched) run(s *Site, url string) {
	w.t.Helper()
	w.url[s.Node], w.raw[s.Node] = url, storetest.Raw(w.t, url)
	w.Start(s, storetest.Open(w.t, url))
	if _, err := s.Desk.ReplayJournal(w.t.Context()); err != nil {
		w.t.Fatalf("replay: %v", err)
	}
}

// mend makes everything due and runs statements until nothing moves.
func (w *watched) mend() {
	w.t.Helper()
	for range 4 {
		for _, s := range w.Sites {
			w.raw[s.Node].Exec(w.t, `UPDATE share SET next_try = '-infinity' WHERE NOT settled`)
		}
		w.settle()
		if err := w.State(w.t.Context(), 1); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, bad := range w.Conserved(w.t.Context(), w.t.Fatalf) {
		w.t.Error(bad)
	}
	for _, s := range w.Sites {
		if n := w.count(s, `share WHERE NOT settled`); n > 0 {
			w.t.Errorf("%s still owes %d items", s.Node, n)
		}
	}
}

func (w *watched) answer(s *Site, office area.Key, id cases.CaseID, a desk.AnswerInput) {
	w.t.Helper()
	v := w.view(s, office, id)
	_, _, err := s.Desk.Answer(w.t.Context(), Clerk(access.Clerk, office), desk.AnswerRequest{
		RequestID: "answer-" + v.Etag[:12], Ref: desk.CaseRef{Case: id, Etag: v.Etag}, Answer: a,
	})
	if err != nil {
		w.t.Fatalf("answer: %v", err)
	}
}

var residing = desk.AnswerInput{Outcome: cases.Residing, Check: "visit", Basis: desk.BasisInput{Kind: cases.BasisRequest}}

// Restores of either side or both, from each moment of a notice's way, with
// verbs before the first statement and a request that is tried again.
func TestRestores(t *testing.T) {
	moments := []string{"before the parcel", "before its receipt", "after its receipt"}
	for _, who := range []string{"origin", "residence", "both"} {
		for moment, name := range moments {
			for _, busy := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/busy=%v", who, name, busy), func(t *testing.T) {
					t.Parallel()
					w := watch(t, origin, residence)
					a, b := w.Sites[0], w.Sites[1]
					y := towns(t, residence, 1)[0]
					first := w.open(a, 1, y)
					w.settle()
					id := w.open(a, 2, y)
					var kept [3][2]backup
					keep := func(i int) { kept[i] = [2]backup{w.backup(a), w.backup(b)} }
					keep(0)
					got := w.absorb(b, w.pack(a, b).Bytes)
					keep(1)
					w.absorb(a, got.Answers[0].Bytes)
					keep(2)
					w.answer(b, y, first, residing)
					w.answer(b, y, id, residing)
					third := w.open(a, 3, y) // in the same moment's life, lost with it
					w.settle()
					if who != "residence" {
						w.restore(kept[moment][0])
					}
					if who != "origin" {
						w.restore(kept[moment][1])
					}
					if again := w.open(a, 2, y); again != id {
						t.Fatalf("the same request names %s, before %s", again, id)
					}
					if busy {
						w.open(a, 4, y)
						if v := w.view(b, y, first); v.Status == cases.StatusOpen {
							w.answer(b, y, first, desk.AnswerInput{Outcome: cases.Misrouted})
						}
						w.settle()
					}
					w.mend()
					for at, office := range map[*Site]area.Key{a: originTown, b: y} {
						if n := w.count(at, `case_side WHERE case_id = $1`, [16]byte(id)); n != 1 {
							t.Errorf("%s shows the case %d times", at.Node, n)
						}
						want := cases.StatusAnswered
						if who == "both" {
							want = cases.StatusOpen // what all holders lost is lost
						}
						if v := w.view(at, office, id); v.Status != want {
							t.Errorf("%s shows %v, want %v", at.Node, v.Status, want)
						}
					}
					if n := w.count(a, `case_side WHERE case_id = $1`, [16]byte(third)); (n == 1) != (who != "both") {
						t.Errorf("the case opened after the backup is shown %d times", n)
					}
				})
			}
		}
	}
}

// A receipt of a former life settles wrongly until the next statement, which
// mends it.
func TestOldReceiptReplayedAfterRestore(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	id := w.open(a, 1, y)
	emptyA, emptyB := w.backup(a), w.backup(b)
	receipt := w.absorb(b, w.pack(a, b).Bytes).Answers[0].Bytes
	w.absorb(a, receipt)
	w.restore(emptyB)
	w.absorb(a, receipt)
	w.mend()
	w.absorb(a, receipt)
	if v := w.view(b, y, id); v.Status != cases.StatusOpen {
		t.Errorf("residence shows %v", v.Status)
	}
	w.restore(emptyA)
	w.restore(emptyB)
	w.absorb(a, receipt)
	if n := w.count(a, `share WHERE settled AND kind <> 10`); n != 1 {
		t.Errorf("the old receipt settled %d rows", n)
	}
	w.mend()
	w.view(b, y, id)
}

// offered is a case whose residence was disclosed and whose offer of the round
// was recorded with a consent to feedback.
type offered struct {
	*watched
	a, b    *Site
	y       area.Key
	id      cases.CaseID
	consent cases.ConsentID
	round   policy.Round
}

func offer(t *testing.T) *offered {
	t.Helper()
	o := &offered{watched: watch(t, origin, residence), y: towns(t, residence, 1)[0]}
	o.a, o.b = o.Sites[0], o.Sites[1]
	o.id = o.open(o.a, 1, o.y)
	o.settle()
	o.answer(o.b, o.y, o.id, residing)
	o.record(o.id, 1, ledger.OfferDone, true)
	o.settle()
	var err error
	if o.round, err = o.Policies.Round(20263); err != nil {
		t.Fatal(err)
	}
	return o
}

// record pairs a case at the residence and records what was offered.
func (o *offered) record(id cases.CaseID, i int, result string, consented bool) {
	t, ctx, p := o.t, o.t.Context(), Clerk(access.Clerk, o.y)
	t.Helper()
	v := o.view(o.b, o.y, id)
	pair, err := o.b.Desk.Pair(ctx, p, desk.PairRequest{RequestID: fmt.Sprintf("pair-%06d", i), Ref: desk.CaseRef{Case: id, Etag: v.Etag}})
	if err != nil {
		t.Fatalf("pair: %v", err)
	}
	r := services.OfferRequest{
		RequestID: fmt.Sprintf("offer-%06d", i), Ref: desk.CaseRef{Case: id, Etag: o.view(o.b, o.y, id).Etag},
		OfferRound: 20263, Result: result, Date: civil.In(o.Clock.Now()), Channel: "visit",
	}
	if result == ledger.OfferDone {
		r.Findings = map[string]string{"reproductive_health": "no_finding"}
	}
	if consented {
		c, err := o.b.Desk.RecordConsent(ctx, p, desk.ConsentRequest{
			RequestID: fmt.Sprintf("consent-%06d", i), Office: o.y, Person: desk.PersonRef{ID: pair.Person},
			Consent: desk.Consent{Recipient: originTown, Purpose: ledger.PurposeFeedback, Fields: []string{"reproductive_health"}, TextVersion: "1", TextHash: [32]byte{1}, GivenHow: "paper"},
		})
		if err != nil {
			t.Fatalf("consent: %v", err)
		}
		o.consent, r.Consent = c.ID, c.ID
	}
	if _, err := o.b.Services.RecordOffer(ctx, p, r); err != nil {
		t.Fatalf("offer: %v", err)
	}
}

// endRound moves the clock past the round and makes its drafts.
func (o *offered) endRound() {
	o.t.Helper()
	if d := o.round.Ends.Sub(o.Clock.Now()); d > 0 {
		o.Clock.Add(d + time.Minute)
	}
	if _, err := o.b.Desk.EndRound(o.t.Context(), o.round); err != nil {
		o.t.Fatal(err)
	}
}

// send turns drafts into items and returns how many.
func (o *offered) send() int {
	o.t.Helper()
	n, err := o.b.Exchange.SendDrafts(o.t.Context(), o.b.Desk.Offices())
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

// released counts the FEEDBACK bodies that the origin can read as released.
func (o *offered) released() (n int) {
	o.t.Helper()
	for _, f := range o.view(o.a, originTown, o.id).Feedback {
		if f.Released {
			n++
		}
	}
	return n
}

func feedbackIn(t *testing.T, s *Site, ps []exchange.Parcel) (n int) {
	t.Helper()
	for _, p := range ps {
		for _, it := range unseal(t, s, p.Bytes).Items {
			if it.Head.Kind == cases.Feedback {
				n++
			}
		}
	}
	return n
}

// FEEDBACK leaves only when a statement round was completed in this life of the
// database (rule 26).
func TestFeedbackWaitsForARound(t *testing.T) {
	o := offer(t)
	o.endRound()
	if n := o.send(); n != 0 {
		t.Fatalf("%d drafts left before a round", n)
	}
	o.mend()
	if n := o.send(); n != 1 {
		t.Fatalf("%d drafts left after a round", n)
	}
	written := o.backup(o.b) // the item is owed, and was not sent
	o.restore(written)
	ps, _, err := o.b.Exchange.Pack(t.Context(), o.a.Node)
	if err != nil {
		t.Fatal(err)
	}
	if n := feedbackIn(t, o.a, ps); n != 0 {
		t.Fatalf("%d FEEDBACKs left a restored database before a round", n)
	}
	o.Put(ps...)
	o.mend()
	if n := o.released(); n != 1 {
		t.Errorf("the origin reads %d released feedbacks after a round", n)
	}
}

// A process that outlives its database does not take the gate of an earlier
// life for its own.
func TestFeedbackWaitsWhenTheProcessOutlivesItsDatabase(t *testing.T) {
	o := offer(t)
	o.endRound()
	o.mend()
	drafted := o.backup(o.b)
	o.mend() // the gate of this process's life
	if n := o.send(); n != 1 {
		t.Fatalf("%d drafts left", n)
	}
	owed := storetest.Copy(t, func() string { o.b.DB.Close(); o.raw[o.b.Node].Close(); return o.url[o.b.Node] }())
	for name, url := range map[string]string{"draft": drafted.url, "owed": owed} {
		o.b.DB = storetest.Open(t, storetest.Copy(t, url))
		o.b.Exchange.DB = o.b.DB
		for range 3 {
			n, err := o.b.Exchange.SendDrafts(t.Context(), o.b.Desk.Offices())
			ps, _, perr := o.b.Exchange.Pack(t.Context(), o.a.Node)
			if n != 0 || feedbackIn(t, o.a, ps) != 0 {
				t.Errorf("%s: FEEDBACK left another life of the database: %d drafts, %v, %v", name, n, err, perr)
			}
		}
	}
}

// What a person took back stays so, whatever backup the residence is put back
// to (SECURITY row 32).
func TestWithdrawnConsentAfterRestore(t *testing.T) {
	for _, c := range []struct {
		name    string
		at      int // the backup: 0 before the draft, 1 with the draft, 2 with the item owed, 3 with it sent
		arrived bool
	}{{"before the draft", 0, false}, {"draft", 1, false}, {"owed", 2, false}, {"draft, sent since", 1, true}, {"owed, sent since", 2, true}, {"sent", 3, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := offer(t)
			var kept [4]backup
			kept[0] = o.backup(o.b)
			o.endRound()
			kept[1] = o.backup(o.b)
			o.mend()
			if n := o.send(); n != 1 {
				t.Fatalf("%d drafts left", n)
			}
			kept[2] = o.backup(o.b)
			if c.arrived {
				o.mend()
				if n := o.released(); n != 1 {
					t.Fatalf("%d released", n)
				}
			}
			kept[3] = o.backup(o.b)
			if _, _, err := o.b.Desk.WithdrawConsent(t.Context(), Clerk(access.Clerk, o.y), "withdraw-0001", o.consent); err != nil {
				t.Fatal(err)
			}
			o.restore(kept[c.at])
			o.endRound()
			for range 2 {
				o.send()
				o.mend()
			}
			if n := o.released(); n != 0 {
				t.Errorf("the origin reads %d released feedbacks of a withdrawn consent", n)
			}
			if !c.arrived && o.count(o.a, `item WHERE kind = 8`) == 0 {
				t.Error("no FEEDBACK arrived at all")
			}
			if c.arrived && o.count(o.a, `item WHERE kind = 9`) == 0 {
				t.Error("no REVOKE arrived")
			}
		})
	}
}
