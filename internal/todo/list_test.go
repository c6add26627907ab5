package todo_test

import (
	"slices"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/store"
	"yipan/internal/todo"
)

// TestCasesComeAndGo: what a case asks for follows it from office to office and
// is gone when it is done.
func TestCasesComeAndGo(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	id := o.open(1, residence)
	o.waits(distributor(), mark(todo.Distribute, id))
	o.waits(clerk(there))
	o.waits(clerk(here))

	got, err := o.Desk.Distribute(ctx, distributor(), desk.DistributeRequest{RequestID: o.request(), Refs: []desk.CaseRef{o.ref(residence, id)}, Township: there})
	o.must(err)
	o.must(got[0].Err)
	o.waits(distributor())
	e := o.waits(clerk(there), mark(todo.Pair, id))[0]
	if e.Office != there || e.Counterpart != here || e.CaseKind != cases.Outflow || e.DueAt.IsZero() || e.Etag != o.ref(there, id).Etag {
		t.Errorf("entry %+v", e)
	}
	if e.Subject != "测某（1980年生）" {
		t.Errorf("subject is not masked")
	}
	o.pair(there, id)
	o.waits(clerk(there), mark(todo.Answer, id))
	o.answer(there, id, silent)
	o.waits(clerk(there))
	e = o.waits(clerk(here), mark(todo.ReadAnswer, id))[0]
	if !e.DueAt.IsZero() {
		t.Errorf("reading is due at %s", e.DueAt)
	}

	// Acknowledged, it waits no more; again is harmless; feedback makes it wait.
	r := desk.AcknowledgeRequest{RequestID: o.request(), Ref: o.ref(here, id)}
	v, err := o.Desk.AcknowledgeCase(ctx, clerk(here), r)
	o.must(err)
	if v.Etag == r.Ref.Etag || v.Etag != o.ref(here, id).Etag {
		t.Errorf("etag %s after %s", v.Etag, r.Ref.Etag)
	}
	again, err := o.Desk.AcknowledgeCase(ctx, clerk(here), r)
	if err != nil || again.Etag != v.Etag {
		t.Errorf("the same request again: %s, %v", again.Etag, err)
	}
	_, err = o.Desk.AcknowledgeCase(ctx, clerk(here), desk.AcknowledgeRequest{RequestID: o.request(), Ref: r.Ref})
	refused(t, err, fault.KindConflict, "ETAG_STALE", "etag")
	o.waits(clerk(here))
	o.feedback(id, 20263)
	if e := o.waits(clerk(here), mark(todo.ReadFeedback, id))[0]; e.N != 1 {
		t.Errorf("%d feedbacks", e.N)
	}
	o.waits(clerk(there)) // it is the residence's own
	_, err = o.Desk.AcknowledgeCase(ctx, clerk(here), desk.AcknowledgeRequest{RequestID: o.request(), Ref: o.ref(here, id)})
	o.must(err)
	o.waits(clerk(here))

	// Disputed, it waits at the residence; answered anew, at the origin.
	_, err = o.Desk.Dispute(ctx, clerk(here), desk.ChangeRequest{RequestID: o.request(), Ref: o.ref(here, id), Reason: "x"})
	o.must(err)
	o.waits(clerk(here))
	o.waits(clerk(there), mark(todo.Answer, id))
	o.answer(there, id, silent)
	o.waits(clerk(here), mark(todo.ReadAnswer, id))
	_, err = o.Desk.AcknowledgeCase(ctx, clerk(here), desk.AcknowledgeRequest{RequestID: o.request(), Ref: o.ref(here, id)})
	o.must(err)
	o.waits(clerk(here))
	// An answer that is changed after it was read is there again.
	o.answer(there, id, desk.AnswerInput{Outcome: cases.Misrouted})
	o.waits(clerk(here), mark(todo.ReadFeedback, id))

	// One that is closed without an answer leaves nothing to read.
	closed := o.open(2, there)
	_, err = o.Desk.Close(ctx, clerk(there), desk.ChangeRequest{RequestID: o.request(), Ref: o.ref(there, closed), Reason: "x"})
	o.must(err)
	o.waits(clerk(here), mark(todo.ReadFeedback, id))
	o.waits(clerk(there))
	_, err = o.Desk.AcknowledgeCase(ctx, clerk(here), desk.AcknowledgeRequest{RequestID: o.request(), Ref: o.ref(here, closed)})
	refused(t, err, fault.KindConflict, "NOTHING_TO_READ", "")
	_, err = o.Desk.AcknowledgeCase(ctx, clerk(beside), desk.AcknowledgeRequest{RequestID: o.request(), Ref: o.ref(here, closed)})
	refused(t, err, fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
}

// TestCorrectionAndReroute: an answer to older fields, and one that names an area
// where no notice goes by itself.
func TestCorrectionAndReroute(t *testing.T) {
	o := newOffice(t)
	id := o.open(1, there)
	o.places(id, 1, there)
	o.write(id, func(c *book.Case) book.Entry { // answered by somebody who saw the first fields
		return book.Entry{Head: cases.Head{Kind: cases.Answer, Side: cases.SideReceiver, Terminal: true, Seen: c.State.Fields[0]},
			Body: cases.Body{Answer: &cases.AnswerBody{Outcome: cases.NoDisclosure}}, PadTo: 192}
	})
	o.waits(clerk(here), mark(todo.Correction, id))

	back := o.open(2, there)
	o.answer(there, back, desk.AnswerInput{Outcome: cases.Misrouted, Area: origin}) // the opener's own county
	list := o.list(clerk(here), todo.Reroute)
	if len(list) != 1 || list[0].Case != back || list[0].Kind != todo.Reroute {
		t.Fatalf("to reroute: %+v", list)
	}
	// One that found its way by itself asks for nothing.
	on := o.open(3, there)
	o.answer(there, on, desk.AnswerInput{Outcome: cases.Misrouted, Area: beside})
	if list := o.list(clerk(here), todo.Reroute); len(list) != 1 {
		t.Errorf("to reroute: %d", len(list))
	}
	// An outcome without an area is the clerk's to read.
	nowhere := o.open(4, there)
	o.answer(there, nowhere, desk.AnswerInput{Outcome: cases.Misrouted})
	if list := o.list(clerk(here), todo.ReadAnswer); len(list) != 1 || list[0].Case != nowhere {
		t.Errorf("to read: %+v", list)
	}
	for _, done := range []cases.CaseID{id, back, nowhere} {
		_, err := o.Desk.AcknowledgeCase(t.Context(), clerk(here), desk.AcknowledgeRequest{RequestID: o.request(), Ref: o.ref(here, done)})
		o.must(err)
	}
	o.waits(clerk(here))
}

// TestAreaWithin: the database's idea of an area in another is the program's.
func TestAreaWithin(t *testing.T) {
	o := newOffice(t)
	keys := []area.Key{origin, residence, here, there, beside, here.Cut(area.Prefecture), here.Cut(area.Province), there.Cut(area.Province),
		area.MustOf(area.Village, here.Code()[:9]+"001"), area.MustOf(area.County, "441900"), area.MustOf(area.Prefecture, "441900")}
	for _, k := range keys {
		for _, in := range keys {
			if got := o.raw.Rows(t, `SELECT area_within($1, $2)`, int64(k), int64(in))[0][0].(bool); got != k.Within(in) {
				t.Errorf("area_within(%s, %s) = %t", k, in, got)
			}
		}
	}
}

// TestOthersComeAndGo: offers, duplicates, approvals and certificates.
func TestOthersComeAndGo(t *testing.T) {
	o := newOffice(t)
	p := clerk(there)
	a, b := o.register(there, 1, name(1)), o.register(there, 2, name(2))
	o.waits(p)

	o.raw.Exec(t, `UPDATE person SET presence = 1, sex = 2, birth = '1996-05-01', living = $2 WHERE id = $1`, [16]byte(a), int64(there))
	if e := o.waits(p, "4")[0]; e.N != 1 || e.More || e.Office != there || len(e.Refs) != 1 || e.Refs[0] != "2026-3" || e.Subject != "" || !e.DueAt.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, civil.Shanghai)) {
		t.Errorf("offers: %+v", e)
	}
	o.raw.Exec(t, `UPDATE person SET offered_round = 20263 WHERE id = $1`, [16]byte(a))
	o.waits(p)

	lo, hi := a, b
	if slices.Compare(lo[:], hi[:]) > 0 {
		lo, hi = hi, lo
	}
	o.raw.Exec(t, `INSERT INTO duplicate (a, b, office, score, reasons) VALUES ($1, $2, $3, 90, 1)`, [16]byte(lo), [16]byte(hi), int64(there))
	if e := o.waits(p, "8")[0]; e.N != 2 || !slices.Equal(e.Refs, []string{lo.String(), hi.String()}) || !e.DueAt.IsZero() {
		t.Errorf("duplicate: %+v", e)
	}
	// Somebody who is restricted to others is not hinted at.
	o.raw.Exec(t, `UPDATE person SET restricted = true WHERE id = $1`, [16]byte(a))
	o.waits(p)
	o.raw.Exec(t, `INSERT INTO keeper (person, office, account) VALUES ($1, $2, $3)`, [16]byte(a), int64(there), p.ID)
	o.waits(p, "8")
	o.raw.Exec(t, `UPDATE person SET restricted = false`)
	o.raw.Exec(t, `UPDATE duplicate SET state = 2`)
	o.waits(p)

	o.raw.Exec(t, `INSERT INTO approval (id, office, kind, about, detail, asked_by) VALUES (gen_random_uuid(), $1, 1, $2, $3, 'another')`, int64(there), [16]byte(a), int64(here))
	o.raw.Exec(t, `INSERT INTO approval (id, office, kind, about, detail, asked_by) VALUES (gen_random_uuid(), $1, 1, $2, $3, $4)`, int64(there), [16]byte(b), int64(here), p.ID)
	if e := o.waits(p, "9")[0]; len(e.Refs) != 2 || e.Refs[1] != a.String() || e.Counterpart != here {
		t.Errorf("approval: %+v", e)
	}
	o.raw.Exec(t, `UPDATE approval SET approved_at = now(), approved_by = $1 WHERE about = $2`, p.ID, [16]byte(a))
	o.waits(p)

	day := civil.MustParse
	add := func(n byte, who cases.PersonID, issued civil.Date) {
		o.must(o.DB.InDesk(t.Context(), []area.Key{there}, func(tx *store.Tx) error {
			return tx.AddCertificates(t.Context(), []store.Certificate{{ID: [16]byte{n}, Office: there, Person: who, AskedOn: issued, IssuedOn: issued}})
		}))
	}
	add(1, a, day("2023-12-20")) // its last day is the thirtieth from now
	add(2, b, day("2023-12-21"))
	add(3, b, day("2023-11-19")) // over, and renewed besides
	if e := o.waits(p, "10")[0]; !e.DueAt.Equal(day("2026-12-20").EndInstant()) || e.Refs[0] != a.String() {
		t.Errorf("certificate: %+v", e)
	}
	o.Clock.Add(24 * time.Hour)
	if list := o.waits(p, "10", "10"); list[0].Refs[0] != a.String() || list[1].Refs[0] != b.String() {
		t.Error("not in order of their last days")
	}
	add(4, a, day("2026-11-20"))
	o.waits(p, "10")
	o.Clock.Add(40 * 24 * time.Hour)
	o.waits(p)
}

// TestRoles: who sees what of the list.
func TestRoles(t *testing.T) {
	o := newOffice(t)
	id, paired := o.open(1, residence), o.open(2, there)
	o.pair(there, paired)
	for _, role := range access.Roles() {
		p := harness.Clerk(role, residence, there)
		_, _, err := o.Todo.List(t.Context(), p, todo.Query{})
		_, errCounts := o.Todo.Counts(t.Context(), p, 0)
		_, errPreview := o.Todo.Preview(t.Context(), p, todo.PreviewRequest{Office: there, Action: todo.Acknowledge})
		if role.ReadsPersons() {
			if err != nil || errCounts != nil || errPreview != nil {
				t.Errorf("%s: %v, %v, %v", role, err, errCounts, errPreview)
			}
			continue
		}
		refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
		refused(t, errCounts, fault.KindDenied, "NOT_ALLOWED", "")
		refused(t, errPreview, fault.KindDenied, "NOT_ALLOWED", "")
	}
	// A distributor sees what is not given away yet, and nothing of a township.
	o.waits(harness.Clerk(access.Distributor, residence, there), mark(todo.Distribute, id))
	_, err := o.Todo.Preview(t.Context(), clerk(residence), todo.PreviewRequest{Action: todo.DistributeTo})
	refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	_, err = o.Todo.Preview(t.Context(), distributor(), todo.PreviewRequest{Action: todo.PairCertain})
	refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	for _, q := range []struct {
		q             todo.Query
		kind          fault.Kind
		reason, field string
	}{
		{todo.Query{Office: here}, fault.KindDenied, "FOREIGN_OFFICE", "office"},
		{todo.Query{PageSize: 201}, fault.KindInvalid, "PAGE_SIZE", "page_size"},
		{todo.Query{PageSize: -1}, fault.KindInvalid, "PAGE_SIZE", "page_size"},
		{todo.Query{Kinds: []todo.Kind{12}}, fault.KindInvalid, "TODO_KIND", "kinds"},
		{todo.Query{PageToken: "x"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
		{todo.Query{PageToken: "A_______________________________________________________________"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
	} {
		_, _, err := o.Todo.List(t.Context(), clerk(there), q.q)
		refused(t, err, q.kind, q.reason, q.field)
	}
}
