package desk_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ledger"
	"yipan/internal/services"
	"yipan/internal/store"
)

// verb is one change of one case, with all that is right about it.
type verb struct {
	name string
	side cases.Side // who may; SideNone: both
	run  func(*desk.Desk, access.Principal, string, desk.CaseRef) error
}

func verbs(b *bureau) []verb {
	noted := func(f note) func(*desk.Desk, access.Principal, string, desk.CaseRef) error {
		return func(d *desk.Desk, p access.Principal, id string, ref desk.CaseRef) error {
			_, err := f(d, p, desk.ChangeRequest{RequestID: id, Ref: ref, Reason: "本人申请"})
			return err
		}
	}
	fields := b.notice(1, there).Fields
	return []verb{
		{"correct", cases.SideOpener, func(d *desk.Desk, p access.Principal, id string, ref desk.CaseRef) error {
			_, _, err := d.Correct(tctx, p, desk.CorrectRequest{RequestID: id, Ref: ref, Fields: fields})
			return err
		}},
		{"withdraw", cases.SideOpener, noted(withdraw)},
		{"dispute", cases.SideOpener, noted(dispute)},
		{"reroute", cases.SideOpener, func(d *desk.Desk, p access.Principal, id string, ref desk.CaseRef) error {
			_, err := d.Reroute(tctx, p, desk.RerouteRequest{RequestID: id, Ref: ref, Destination: yonder})
			return err
		}},
		{"close", cases.SideNone, noted(closing)},
		{"reopen", cases.SideNone, noted(reopen)},
		{"answer", cases.SideReceiver, func(d *desk.Desk, p access.Principal, id string, ref desk.CaseRef) error {
			_, _, err := d.Answer(tctx, p, desk.AnswerRequest{RequestID: id, Ref: ref, Answer: desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}})
			return err
		}},
		{"answer many", cases.SideReceiver, func(d *desk.Desk, p access.Principal, id string, ref desk.CaseRef) error {
			got, err := d.AnswerMany(tctx, p, []desk.AnswerRequest{{RequestID: id, Ref: ref, Answer: desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}}})
			if err == nil {
				err = got[0].Err
			}
			return err
		}},
		{"pair", cases.SideReceiver, func(d *desk.Desk, p access.Principal, id string, ref desk.CaseRef) error {
			_, err := d.Pair(tctx, p, desk.PairRequest{RequestID: id, Ref: ref})
			return err
		}},
		{"offer", cases.SideReceiver, func(d *desk.Desk, p access.Principal, id string, ref desk.CaseRef) error {
			o := desk.Offer{RequestID: id, Ref: ref, Hash: [32]byte{1}}
			_, err := d.RecordOffer(tctx, p, o, func(*store.Tx, cases.PersonID, area.Key) error { return nil })
			return err
		}},
	}
}

func offer(id string, ref desk.CaseRef, result string) services.OfferRequest {
	return services.OfferRequest{RequestID: id, Ref: ref, OfferRound: 20263, Result: result, Date: civil.MustParse("2026-11-18"), Channel: "visit"}
}

// TestChangesRefuse holds what is wrong with any change against every verb:
// nothing changes.
func TestChangesRefuse(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	id := b.open(b.notice(1, there))
	taken := b.request()
	if _, err := d.Pair(t.Context(), clerk(there), desk.PairRequest{RequestID: taken, Ref: b.ref(there, id)}); err != nil {
		t.Fatal(err)
	}
	before := b.marks(here)
	own := func(v verb) (access.Principal, area.Key) {
		if v.side == cases.SideReceiver {
			return clerk(there), there
		}
		return clerk(here), here
	}
	for _, v := range verbs(b) {
		t.Run(v.name, func(t *testing.T) {
			p, office := own(v)
			ref := b.ref(office, id)
			refused(t, v.run(d, p, "short", ref), fault.KindInvalid, "REQUEST_ID", "request_id")
			refused(t, v.run(d, p, b.request(), desk.CaseRef{Case: id}), fault.KindInvalid, "ETAG_REQUIRED", "etag")
			refused(t, v.run(d, p, b.request(), desk.CaseRef{Case: id, Etag: "0-0"}), fault.KindConflict, "ETAG_STALE", "etag")
			refused(t, v.run(d, p, b.request(), desk.CaseRef{Case: cases.CaseID{1}, Etag: ref.Etag}), fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
			refused(t, v.run(d, clerk(beside), b.request(), ref), fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
			if v.side == cases.SideReceiver {
				q := clerk(there)
				if v.name != "pair" {
					refused(t, v.run(d, q, taken, ref), fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
				}
				refused(t, v.run(d, clerk(here), b.request(), b.ref(here, id)), fault.KindDenied, "NOT_ITS_SIDE", "")
			}
			if v.side == cases.SideOpener {
				refused(t, v.run(d, clerk(there), b.request(), b.ref(there, id)), fault.KindDenied, "NOT_ITS_SIDE", "")
			}
			for _, role := range []access.Role{access.County, access.Auditor, access.Admin, access.Security} {
				refused(t, v.run(d, harness.Clerk(role, office), b.request(), ref), fault.KindDenied, "NOT_ALLOWED", "")
			}
			if diff := cmp.Diff(before, b.marks(here)); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
}

// TestStateForbids runs every verb in every state that forbids it.
func TestStateForbids(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	in := map[cases.Status]cases.CaseID{}
	for i, s := range []cases.Status{cases.StatusOpen, cases.StatusAnswered, cases.StatusRerouted, cases.StatusWithdrawn, cases.StatusClosed} {
		id := b.open(b.notice(i, there))
		in[s] = id
		switch s {
		case cases.StatusAnswered:
			b.answer(there, id, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"})
		case cases.StatusRerouted:
			b.answer(there, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: yonder})
		case cases.StatusWithdrawn:
			b.change(here, id, withdraw)
		case cases.StatusClosed:
			b.change(here, id, closing)
		}
	}
	allowed := map[string][]cases.Status{
		"correct": {cases.StatusOpen}, "withdraw": {cases.StatusOpen}, "dispute": {cases.StatusAnswered},
		"reroute": {}, "close": {cases.StatusOpen, cases.StatusAnswered}, "reopen": {cases.StatusClosed, cases.StatusWithdrawn},
		"answer": {cases.StatusOpen, cases.StatusAnswered}, "answer many": {cases.StatusOpen, cases.StatusAnswered},
	}
	before := b.marks(here)
	for _, v := range verbs(b) {
		states, ok := allowed[v.name]
		for s, id := range in {
			if !ok && s != cases.StatusWithdrawn || ok && slices.Contains(states, s) || v.name == "pair" {
				continue
			}
			office := here
			if v.side == cases.SideReceiver {
				office = there
			}
			refused(t, v.run(d, clerk(office), b.request(), b.ref(office, id)), fault.KindConflict, "STATE_FORBIDS", "")
			if t.Failed() {
				t.Fatalf("%s of a case that is %s", v.name, s)
			}
		}
	}
	if diff := cmp.Diff(before, b.marks(here)); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
}

func TestAnswerRefuses(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	id := b.open(b.notice(1, there))
	other := b.open(b.notice(2, there))
	b.pair(there, id)
	wrong := b.consents(there, 2, ledger.PurposeConfirm, here)
	elsewhere := b.consents(there, 1, ledger.PurposeConfirm, yonder)
	ref := b.ref(there, id)
	before := b.marks(here)
	by := func(c desk.Consent) desk.AnswerInput {
		return desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisConsent, Consent: c.ID}}
	}
	for _, tt := range []struct {
		name   string
		in     desk.AnswerInput
		reason string
		field  string
	}{
		{"nothing", desk.AnswerInput{}, "OUTCOME", "outcome"},
		{"another kind's outcome", desk.AnswerInput{Outcome: cases.Valid}, "OUTCOME", "outcome"},
		{"moved on, nowhere", desk.AnswerInput{Outcome: cases.MovedOn}, "AREA_REQUIRED", "area"},
		{"moved on to no place", desk.AnswerInput{Outcome: cases.MovedOn, Area: area.MustOf(area.Township, "330782999")}, "AREA_UNKNOWN", "area"},
		{"residing elsewhere", desk.AnswerInput{Outcome: cases.Residing, Area: yonder}, "AREA_UNEXPECTED", "area"},
		{"misrouted to here", desk.AnswerInput{Outcome: cases.Misrouted, Area: there}, "AREA_UNFIT", "area"},
		{"misrouted to the opener", desk.AnswerInput{Outcome: cases.Misrouted, Area: here}, "AREA_UNFIT", "area"},
		{"misrouted to a province", desk.AnswerInput{Outcome: cases.Misrouted, Area: area.MustOf(area.Province, "33")}, "AREA_UNFIT", "area"},
		{"misrouted to no place", desk.AnswerInput{Outcome: cases.Misrouted, Area: area.MustOf(area.Township, "330782999")}, "AREA_UNKNOWN", "area"},
		{"unreachable, never tried", desk.AnswerInput{Outcome: cases.Unreachable}, "ATTEMPTS_REQUIRED", "attempts"},
		{"unreachable by pigeon", desk.AnswerInput{Outcome: cases.Unreachable, Attempts: 1, Channels: []string{"pigeon"}}, "CHANNEL_CODE", "channels"},
		{"no reason recorded", desk.AnswerInput{Outcome: cases.NoDisclosure}, "TRUE_REASON_REQUIRED", "true_reason"},
		{"a reason of one's own", desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "because"}, "TRUE_REASON_REQUIRED", "true_reason"},
		{"a reason where none is asked", desk.AnswerInput{Outcome: cases.NotFound, TrueReason: "declined"}, "TRUE_REASON_UNEXPECTED", "true_reason"},
		{"checked by guessing", desk.AnswerInput{Outcome: cases.NotFound, Check: "guess"}, "CHECK_CODE", "check"},
		{"a duplicate of nothing", desk.AnswerInput{Outcome: cases.Duplicate}, "DUPLICATE_OF", "duplicate_of"},
		{"a duplicate of itself", desk.AnswerInput{Outcome: cases.Duplicate, DuplicateOf: id}, "DUPLICATE_OF", "duplicate_of"},
		{"a duplicate of another person's", desk.AnswerInput{Outcome: cases.Duplicate, DuplicateOf: other}, "DUPLICATE_OF", "duplicate_of"},
		{"a long reason", desk.AnswerInput{Outcome: cases.Residing, Reason: strings.Repeat("因", 301)}, "TEXT_LENGTH", "reason"},
		{"by an unknown consent", by(desk.Consent{ID: cases.ConsentID{5}}), "CONSENT_UNKNOWN", "basis.consent_id"},
		{"by another person's consent", by(wrong), "CONSENT_PERSON", "basis.consent_id"},
		{"by a consent for elsewhere", by(elsewhere), "CONSENT_SCOPE", "basis.consent_id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := d.Answer(t.Context(), clerk(there), desk.AnswerRequest{RequestID: b.request(), Ref: ref, Answer: tt.in})
			refused(t, err, fault.KindInvalid, tt.reason, "answer."+tt.field)
			if diff := cmp.Diff(before, b.marks(here)); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
	_, err := d.AnswerMany(t.Context(), clerk(there), make([]desk.AnswerRequest, desk.MaxBatch+1))
	refused(t, err, fault.KindInvalid, "BATCH_TOO_LARGE", "")
	_, err = d.Withdraw(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, id)})
	refused(t, err, fault.KindInvalid, "REQUIRED", "reason")
	_, err = d.Withdraw(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, id), Reason: strings.Repeat("因", 301)})
	refused(t, err, fault.KindInvalid, "TEXT_LENGTH", "reason")
	_, err = d.Pair(t.Context(), clerk(there), desk.PairRequest{RequestID: b.request(), Ref: ref, Person: cases.PersonID{3}})
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	if diff := cmp.Diff(before, b.marks(here)); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
}

// TestAnswerMany mixes good and bad in one batch: each gets its own result, and
// an answer is never taken for another request's.
func TestAnswerMany(t *testing.T) {
	b := newBureau(t, true)
	d, p := b.at(here), clerk(there)
	var ids []cases.CaseID
	var rs []desk.AnswerRequest
	for i := range 5 {
		id := b.open(b.notice(i, there))
		ids = append(ids, id)
		rs = append(rs, desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(there, id), Answer: desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}})
	}
	rs[1].RequestID = rs[0].RequestID
	rs[2].Ref.Etag = "old"
	rs[3].Answer.TrueReason = ""
	short := rs[4]
	short.RequestID, short.Answer = "x", desk.AnswerInput{Outcome: cases.Misrouted, Area: yonder}
	rs = append([]desk.AnswerRequest{short}, rs...)
	got, err := d.AnswerMany(t.Context(), p, rs)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, got[0].Err, fault.KindInvalid, "REQUEST_ID", "request_id")
	refused(t, got[2].Err, fault.KindInvalid, "REQUEST_ID_REUSED", "request_id")
	refused(t, got[3].Err, fault.KindConflict, "ETAG_STALE", "etag")
	refused(t, got[4].Err, fault.KindInvalid, "TRUE_REASON_REQUIRED", "answer.true_reason")
	if got[1].Err != nil || got[5].Err != nil {
		t.Fatalf("good ones: %v, %v", got[1].Err, got[5].Err)
	}
	want := []cases.Status{cases.StatusAnswered, cases.StatusOpen, cases.StatusOpen, cases.StatusOpen, cases.StatusAnswered}
	for i, id := range ids {
		b.status(there, id, want[i])
	}
	again, err := d.AnswerMany(t.Context(), p, rs[1:2])
	if err != nil || again[0].Err != nil || again[0].Etag != got[1].Etag {
		t.Errorf("the same request again: %+v, %v", again, err)
	}
}

// TestChangeRepeatedAtOnce sends one change from several callers: it happens
// once and all are told the same.
func TestChangeRepeatedAtOnce(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	id := b.open(b.notice(1, there))
	r := desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(there, id), Answer: desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}}
	const callers = 8
	errs, tags := make([]error, callers), make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			var v desk.CaseView
			v, _, errs[i] = d.Answer(t.Context(), clerk(there), r)
			tags[i] = v.Etag
		})
	}
	wg.Wait()
	for i := range callers {
		if errs[i] != nil || tags[i] != tags[0] {
			t.Errorf("caller %d: %q, %v", i, tags[i], errs[i])
		}
	}
	raw := b.raw(here)
	if n := fmt.Sprint(raw.Rows(t, `SELECT count(*) FROM item WHERE kind = 4`)[0]...); n != "1" {
		t.Errorf("%s answers", n)
	}
	r.Answer.TrueReason = "withheld"
	_, _, err := d.Answer(t.Context(), clerk(there), r)
	refused(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
}

func TestOfferRefuses(t *testing.T) {
	b := newBureau(t, true)
	p := clerk(there)
	id := b.open(b.notice(1, there))
	_, err := b.site(here).Services.RecordOffer(t.Context(), p, offer(b.request(), b.ref(there, id), "declined"))
	refused(t, err, fault.KindConflict, "NOT_DISCLOSED", "")
	b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
	_, err = b.site(here).Services.RecordOffer(t.Context(), p, offer(b.request(), b.ref(there, id), "declined"))
	refused(t, err, fault.KindConflict, "NOT_PAIRED", "")
	b.pair(there, id)
	confirm := b.consents(there, 1, ledger.PurposeConfirm, here)
	other := b.consents(there, 2, ledger.PurposeFeedback, here)
	away := b.consents(there, 1, ledger.PurposeFeedback, yonder)
	ref := b.ref(there, id)
	before := b.marks(here)
	for _, tt := range []struct {
		name   string
		change func(*services.OfferRequest)
		kind   fault.Kind
		reason string
		field  string
	}{
		{"no such round", func(r *services.OfferRequest) { r.OfferRound = 1 }, fault.KindInvalid, "OFFER_ROUND", "offer_round"},
		{"a round that is over", func(r *services.OfferRequest) { r.OfferRound = 20262 }, fault.KindConflict, "ROUND_OVER", "offer_round"},
		{"an unknown result", func(r *services.OfferRequest) { r.Result = "maybe" }, fault.KindInvalid, "OFFER_RESULT", "result"},
		{"no date", func(r *services.OfferRequest) { r.Date = civil.Date{} }, fault.KindInvalid, "REQUIRED", "date"},
		{"tomorrow", func(r *services.OfferRequest) { r.Date = civil.MustParse("2026-11-21") }, fault.KindInvalid, "FUTURE_DATE", "date"},
		{"by pigeon", func(r *services.OfferRequest) { r.Channel = "pigeon" }, fault.KindInvalid, "CHANNEL_CODE", "channel"},
		{"findings of a refusal", func(r *services.OfferRequest) { r.Result, r.Findings = "declined", map[string]string{"iud": "x"} }, fault.KindInvalid, "FINDINGS_UNEXPECTED", "findings"},
		{"a finding that is never asked", func(r *services.OfferRequest) { r.Findings = map[string]string{"fetal_sex": "x"} }, fault.KindInvalid, "FIELD_NAME", "findings"},
		{"an endless finding", func(r *services.OfferRequest) { r.Findings = map[string]string{"iud": strings.Repeat("x", 91)} }, fault.KindInvalid, "TEXT_LENGTH", "findings"},
		{"an unknown consent", func(r *services.OfferRequest) { r.Consent = cases.ConsentID{4} }, fault.KindInvalid, "CONSENT_UNKNOWN", "consent_id"},
		{"a consent to something else", func(r *services.OfferRequest) { r.Consent = confirm.ID }, fault.KindInvalid, "CONSENT_SCOPE", "consent_id"},
		{"a consent for elsewhere", func(r *services.OfferRequest) { r.Consent = away.ID }, fault.KindInvalid, "CONSENT_SCOPE", "consent_id"},
		{"another person's consent", func(r *services.OfferRequest) { r.Consent = other.ID }, fault.KindInvalid, "CONSENT_PERSON", "consent_id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := offer(b.request(), ref, "done")
			tt.change(&r)
			_, err := b.site(here).Services.RecordOffer(t.Context(), p, r)
			refused(t, err, tt.kind, tt.reason, tt.field)
			if diff := cmp.Diff(before, b.marks(here)); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
}
