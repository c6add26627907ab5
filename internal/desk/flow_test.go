package desk_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ledger"
)

// both runs a test with both sides of every case on one node, and on nodes of
// their own: offices must not notice the difference.
func both(t *testing.T, f func(*testing.T, *bureau)) {
	t.Helper()
	for _, local := range []bool{true, false} {
		t.Run(map[bool]string{true: "one node", false: "three nodes"}[local], func(t *testing.T) {
			b := newBureau(t, local)
			f(t, b)
			b.settle()
			b.conserved()
			if local {
				raw := b.raw(here)
				if n := fmt.Sprint(raw.Rows(t, `SELECT (SELECT count(*) FROM share), (SELECT count(*) FROM cover)`)[0]...); n != "0 0" {
					t.Errorf("shares and covers on one node: %s", n)
				}
			}
		})
	}
}

func TestAnswerWithConsent(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		r := b.notice(1, there)
		r.Fields.Confirm = b.consents(here, 1, ledger.PurposeConfirm, there).ID
		id := b.open(r)
		v := b.status(there, id, cases.StatusOpen)
		if v.Side != cases.SideReceiver || v.Fields != nil || v.Subject != "测某（1990年生）" || v.Paired || v.DeliveredAt.IsZero() || v.DueAt.IsZero() || v.Waiting != desk.WaitResidence {
			t.Errorf("receiver sees %+v", v)
		}
		if b.local && !v.DeliveredAt.Equal(v.OpenedAt) {
			t.Errorf("on one node delivered %s, opened %s", v.DeliveredAt, v.OpenedAt)
		}
		who := b.pair(there, id)
		if v = b.get(there, id); !v.Paired || v.Fields == nil || v.Fields.DocumentNumber != person(1) || who.IsZero() {
			t.Errorf("paired: %+v", v)
		}
		if warnings := b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Check: "visit"}); len(warnings) != 0 {
			t.Errorf("warnings %v", warnings)
		}
		for _, o := range []area.Key{here, there} {
			v := b.status(o, id, cases.StatusAnswered)
			if v.Answer == nil || v.Answer.Outcome != cases.Residing || v.Answer.Basis.Kind != cases.BasisConsent || v.Waiting != desk.WaitNobody || v.OlderFields {
				t.Errorf("%s sees %+v", o, v)
			}
		}
		// The person's own consent at the residence serves as well.
		id2 := b.open(b.notice(2, there))
		b.pair(there, id2)
		own := b.consents(there, 2, ledger.PurposeConfirm, here)
		b.answer(there, id2, desk.AnswerInput{Outcome: cases.NotFound, Basis: desk.BasisInput{Kind: cases.BasisConsent, Consent: own.ID}})
		if v := b.status(here, id2, cases.StatusAnswered); v.Answer == nil || v.Answer.Outcome != cases.NotFound || v.Answer.Basis.Consent != own.ID {
			t.Errorf("by its own consent the origin sees %+v", v.Answer)
		}
		tr, err := b.at(there).Trace(t.Context(), clerk(there), id, "test")
		if err != nil || len(tr.Events) != 2 || tr.Events[0].Kind != cases.Open || tr.Events[1].Kind != cases.Answer || tr.Events[0].DeliveredAt.IsZero() {
			t.Errorf("trace %+v, %v", tr, err)
		}
	})
}

// TestSecurity04ResidingWithoutBasis: row 4. None of the four outcomes that
// disclose leaves without the person's consent or request.
func TestSecurity04ResidingWithoutBasis(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		inputs := map[cases.Outcome]desk.AnswerInput{
			cases.Residing:    {Outcome: cases.Residing, Check: "visit", Reason: "x"},
			cases.NotFound:    {Outcome: cases.NotFound},
			cases.MovedOn:     {Outcome: cases.MovedOn, Area: yonder},
			cases.Unreachable: {Outcome: cases.Unreachable, Attempts: 3, Channels: []string{"phone"}},
		}
		i := 0
		for o, in := range inputs {
			i++
			id := b.open(b.notice(i, there))
			if w := b.answer(there, id, in); len(w) != 1 {
				t.Errorf("%s: warnings %v", o, w)
			}
			for _, office := range []area.Key{here, there} {
				if v := b.status(office, id, cases.StatusAnswered); v.Answer == nil || cmp.Diff(cases.AnswerBody{Outcome: cases.NoDisclosure}, *v.Answer) != "" {
					t.Errorf("%s: %s sees %+v", o, office, v.Answer)
				}
			}
			i++
			id = b.open(b.notice(i, there))
			in.Basis = desk.BasisInput{Kind: cases.BasisRequest}
			if w := b.answer(there, id, in); len(w) != 0 {
				t.Errorf("%s by request: warnings %v", o, w)
			}
			v := b.status(here, id, cases.StatusAnswered)
			if v.Answer == nil || v.Answer.Outcome != o {
				t.Errorf("%s by request: origin sees %+v", o, v.Answer)
			}
			if o == cases.MovedOn && v.Answer.Area != yonder.Cut(area.County) {
				t.Errorf("MOVED_ON names %s, more than the county", v.Answer.Area)
			}
		}
	})
}

// TestSecurity05MisroutedIndependentOfLedger: row 5. The same notice is answered
// MISROUTED at an office that knows the person and at one that does not, paired
// or not: warnings, views and bodies are equal.
func TestSecurity05MisroutedIndependentOfLedger(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		b.consents(there, 1, ledger.PurposeConfirm, here) // the office knows person 1
		var got []desk.CaseView
		for _, i := range []int{1, 2} {
			id := b.open(b.notice(i, there))
			if i == 1 {
				b.pair(there, id)
			}
			if w := b.answer(there, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: yonder}); len(w) != 0 {
				t.Errorf("warnings %v", w)
			}
			v := b.status(here, id, cases.StatusRerouted)
			child := v
			child.ID, child.Etag, child.OpenedAt, child.DeliveredAt, child.AnsweredAt, child.Fields = cases.CaseID{}, "", time.Time{}, time.Time{}, time.Time{}, nil
			got = append(got, child)
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			t.Errorf("known and unknown differ:\n%s", diff)
		}
		raw := b.raw(here)
		sizes := raw.Rows(t, `SELECT length(head), length(body) FROM item WHERE kind = 4 ORDER BY recorded_at`)
		if len(sizes) != 2 || cmp.Diff(sizes[0], sizes[1]) != "" {
			t.Errorf("answers have sizes %v", sizes)
		}
	})
}

func TestVerbsOfTheOpener(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		id := b.open(b.notice(1, there))
		r := b.notice(1, there)
		r.Fields.Name = "示例一"
		v, _, err := b.at(here).Correct(t.Context(), clerk(here), desk.CorrectRequest{RequestID: b.request(), Ref: b.ref(here, id), Fields: r.Fields})
		if err != nil || v.Status != cases.StatusOpen {
			t.Fatalf("correct: %v", err)
		}
		b.settle()
		b.pair(there, id)
		if v := b.get(there, id); v.Fields == nil || v.Fields.Name != "示例一" {
			t.Errorf("receiver sees %+v", v.Fields)
		}
		b.answer(there, id, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"})
		b.change(here, id, dispute)
		if v := b.status(there, id, cases.StatusOpen); v.Round != 2 || !v.Disputed {
			t.Errorf("disputed: %+v", v)
		}
		b.answer(there, id, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "withheld"})
		_, err = b.at(here).Dispute(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, id), Reason: "x"})
		refused(t, err, fault.KindConflict, "STATE_FORBIDS", "")
		b.change(there, id, closing)
		b.status(here, id, cases.StatusClosed)
		b.change(here, id, reopen)
		if v := b.status(there, id, cases.StatusOpen); v.Round != 3 {
			t.Errorf("reopened: round %d", v.Round)
		}
		b.change(here, id, withdraw)
		b.status(there, id, cases.StatusWithdrawn)
	})
}

func TestRerouteChain(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		offices := []area.Key{there, yonder, beside, farther}
		id := b.open(b.notice(1, there))
		for hop, o := range offices {
			if v := b.get(o, id); v.Hops != uint32(hop) || v.Status != cases.StatusOpen {
				t.Fatalf("hop %d: %+v", hop, v)
			}
			if hop == len(offices)-1 {
				break
			}
			b.answer(o, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: offices[hop+1]})
			b.status(here, id, cases.StatusRerouted)
			id = cases.ChildCaseID(id, 1, offices[hop+1])
		}
		// Three hops lie behind: now the opener decides.
		b.answer(farther, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: there})
		b.status(here, id, cases.StatusRerouted)
		ref := b.ref(here, id)
		again := desk.RerouteRequest{RequestID: b.request(), Ref: ref, Destination: beside}
		for _, to := range []struct {
			key           area.Key
			kind          fault.Kind
			reason, field string
		}{
			{farther, fault.KindInvalid, "SAME_AREA", "destination"},
			{here, fault.KindInvalid, "NO_MOVEMENT", "destination"},
			{area.MustOf(area.Township, "330782999"), fault.KindInvalid, "AREA_UNKNOWN", "destination"},
		} {
			r := again
			r.RequestID, r.Destination = b.request(), to.key
			_, err := b.at(here).Reroute(t.Context(), clerk(here), r)
			refused(t, err, to.kind, to.reason, to.field)
		}
		v, err := b.at(here).Reroute(t.Context(), clerk(here), again)
		if err != nil || v.ID == id || v.Y != beside || v.Status != cases.StatusOpen {
			t.Fatalf("reroute: %+v, %v", v, err)
		}
		b.settle()
		b.status(beside, v.ID, cases.StatusOpen)
		w, err := b.at(here).Reroute(t.Context(), clerk(here), again)
		if err != nil || w.ID != v.ID {
			t.Errorf("the same request again: %s, %v; want %s", w.ID, err, v.ID)
		}
		// Every leg is found with the person, so that consents reach them all.
		raw := b.raw(here)
		if n := fmt.Sprint(raw.Rows(t, `SELECT count(*), count(DISTINCT person), count(person) FROM case_side WHERE side = 1`)[0]...); n != "5 1 5" {
			t.Errorf("legs, persons: %s", n)
		}
	})
}

func TestDistribute(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		county := harness.Clerk(access.Distributor, residence)
		var refs []desk.CaseRef
		var ids []cases.CaseID
		for i := range 3 {
			id := b.open(b.notice(i, residence))
			if v := b.status(residence, id, cases.StatusOpen); v.Waiting != desk.WaitCounty || v.Fields != nil {
				t.Errorf("waits with %d", v.Waiting)
			}
			ids, refs = append(ids, id), append(refs, b.ref(residence, id))
		}
		before := b.marks(residence)
		for _, tt := range []struct {
			name   string
			p      access.Principal
			change func(*desk.DistributeRequest)
			kind   fault.Kind
			reason string
			field  string
		}{
			{"a clerk", clerk(there), func(*desk.DistributeRequest) {}, fault.KindDenied, "NOT_ALLOWED", ""},
			{"a county operator", harness.Clerk(access.County, residence), func(*desk.DistributeRequest) {}, fault.KindDenied, "NOT_ALLOWED", ""},
			{"no request id", county, func(r *desk.DistributeRequest) { r.RequestID = "" }, fault.KindInvalid, "REQUEST_ID", "request_id"},
			{"unknown", county, func(r *desk.DistributeRequest) { r.Township = area.MustOf(area.Township, "330782999") }, fault.KindInvalid, "AREA_UNKNOWN", "township"},
			{"no township", county, func(r *desk.DistributeRequest) { r.Township = residence }, fault.KindInvalid, "AREA_UNKNOWN", "township"},
			{"too many", county, func(r *desk.DistributeRequest) { r.Refs = make([]desk.CaseRef, desk.MaxBatch+1) }, fault.KindInvalid, "BATCH_TOO_LARGE", ""},
		} {
			r := desk.DistributeRequest{RequestID: b.request(), Refs: refs, Township: there}
			tt.change(&r)
			_, err := b.at(residence).Distribute(t.Context(), tt.p, r)
			refused(t, err, tt.kind, tt.reason, tt.field)
		}
		away := fault.KindInvalid
		got, err := b.at(residence).Distribute(t.Context(), county, desk.DistributeRequest{RequestID: b.request(), Refs: refs, Township: yonder})
		if b.local {
			for _, r := range got {
				refused(t, r.Err, away, "NOT_WITHIN", "township")
			}
		} else {
			refused(t, err, away, "OTHER_NODE", "township")
		}
		if diff := cmp.Diff(before, b.marks(residence)); diff != "" {
			t.Fatalf("something changed:\n%s", diff)
		}
		r := desk.DistributeRequest{RequestID: b.request(), Refs: append(refs[:2:2], desk.CaseRef{Case: ids[2], Etag: "old"}, refs[0]), Township: there}
		if got, err = b.at(residence).Distribute(t.Context(), county, r); err != nil || got[0].Err != nil || got[1].Err != nil {
			t.Fatalf("distribute: %+v, %v", got, err)
		}
		refused(t, got[2].Err, fault.KindConflict, "ETAG_STALE", "etag")
		refused(t, got[3].Err, fault.KindInvalid, "CASE_TWICE", "case_id")
		b.settle()
		v := b.status(there, ids[0], cases.StatusOpen)
		if v.Assigned != there || v.Waiting != desk.WaitResidence {
			t.Errorf("given: %+v", v)
		}
		if v := b.get(here, ids[0]); v.Assigned != there {
			t.Errorf("the opener sees it at %s", v.Assigned)
		}
		_, err = b.at(residence).GetCase(t.Context(), county, desk.GetRequest{Case: ids[0]})
		refused(t, err, fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
		again, err := b.at(residence).Distribute(t.Context(), county, desk.DistributeRequest{RequestID: r.RequestID, Refs: refs[:2], Township: there})
		if err != nil || again[0].Err != nil || again[1].Err != nil {
			t.Errorf("the same request again: %+v, %v", again, err)
		}
		b.answer(there, ids[0], desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "unavailable"})
		b.status(here, ids[0], cases.StatusAnswered)
	})
}

// TestMisroutedInTheSameCounty: a township gives a case back to the opener, who
// opens it anew for its neighbour at once.
func TestMisroutedInTheSameCounty(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		id := b.open(b.notice(1, there))
		b.answer(there, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: beside})
		child := cases.ChildCaseID(id, 1, beside)
		if v := b.status(beside, child, cases.StatusOpen); v.Parent != id || v.Hops != 1 || v.DeliveredAt.IsZero() {
			t.Errorf("child %+v", v)
		}
		b.answer(beside, child, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
		b.status(here, child, cases.StatusAnswered)

		// Seven days later the wrong receiver has forgotten the person.
		b.Clock.Add(8 * 24 * time.Hour)
		for _, s := range b.Sites {
			if _, err := s.Desk.EraseMisrouted(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if v := b.get(there, id); v.Subject != "（已删除）" || v.Fields != nil {
			t.Errorf("the wrong receiver still sees %q", v.Subject)
		}
		if v := b.get(here, id); v.Fields == nil {
			t.Error("the opener lost its own fields")
		}
		if v := b.get(beside, child); v.Subject == "（已删除）" {
			t.Error("the right receiver forgot as well")
		}
	})
}

func TestInflow(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		r := b.notice(1, here)
		r.Kind, r.Origin = cases.Inflow, there
		id := b.open(r)
		b.answer(here, id, desk.AnswerInput{Outcome: cases.Confirmed, Check: "document"})
		if v := b.status(there, id, cases.StatusAnswered); v.Side != cases.SideOpener || v.Answer == nil || v.Answer.Outcome != cases.Confirmed {
			t.Errorf("residence sees %+v", v)
		}
		if v := b.get(here, id); !v.AnsweredAt.After(v.OpenedAt) || civil.In(v.DueAt.Add(-time.Second)) != civil.In(v.DeliveredAt).AddDays(30) {
			t.Errorf("due %s, delivered %s", v.DueAt, v.DeliveredAt)
		}
	})
}
