package desk_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	"yipan/internal/harness"
	"yipan/internal/ledger"
	"yipan/internal/store/storetest"
)

// logged returns the events that a call of the desk left: all their subjects
// together, and how many events.
func logged(t *testing.T, raw *storetest.Tables, call func()) (events int, subjects [][16]byte) {
	t.Helper()
	last := raw.Rows(t, `SELECT coalesce(max(id), 0) FROM access_log`)[0][0].(int64)
	call()
	for _, r := range raw.Rows(t, `SELECT subjects, n FROM access_log WHERE id > $1 ORDER BY id`, last) {
		events++
		list := r[0].([]any)
		if int(r[1].(int32)) != len(list) {
			t.Errorf("an event of %d subjects says %d", len(list), r[1])
		}
		for _, s := range list {
			subjects = append(subjects, s.([16]byte))
		}
	}
	slices.SortFunc(subjects, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	return events, subjects
}

// TestSecurity36PersonsReturnedEqualPersonsLogged: row 36. Each method of the
// API that can name a person leaves one event with exactly those people;
// unpaired notices count by their case.
func TestSecurity36PersonsReturnedEqualPersonsLogged(t *testing.T) {
	b := newBureau(t, true)
	d, x, y := b.at(here), clerk(here), clerk(there)
	raw := b.raw(here)
	ctx := context.Background()
	who := func(office area.Key, ids ...cases.CaseID) (out [][16]byte) {
		for _, id := range ids {
			r := raw.Rows(t, `SELECT coalesce(person, case_id) FROM case_side WHERE case_id = $1 AND office = $2`, [16]byte(id), int64(office))
			out = append(out, r[0][0].([16]byte))
		}
		slices.SortFunc(out, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
		return out
	}
	covered := map[string]bool{"WatchCases": true}
	check := func(method string, office area.Key, call func() []cases.CaseID) {
		t.Helper()
		covered[method] = true
		var ids []cases.CaseID
		events, got := logged(t, raw, func() { ids = call() })
		if events != 1 {
			t.Errorf("%s left %d events", method, events)
		}
		if diff := cmp.Diff(who(office, ids...), got); diff != "" {
			t.Errorf("%s: returned and logged differ:\n%s", method, diff)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	change := func(office area.Key, id cases.CaseID) desk.ChangeRequest {
		return desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(office, id), Reason: "x"}
	}
	var id, other cases.CaseID
	first := b.notice(1, there)
	for range 2 { // the second time repeated
		check("OpenCase", here, func() []cases.CaseID {
			v, _, err := d.OpenCase(ctx, x, first)
			must(err)
			id = v.ID
			return []cases.CaseID{id}
		})
	}
	many := []desk.OpenRequest{b.notice(2, there), b.notice(3, there), b.notice(4, residence)}
	var opened []cases.CaseID
	check("BatchOpenCases", here, func() []cases.CaseID {
		got, err := d.OpenCases(ctx, x, many)
		must(err)
		opened = nil
		for _, r := range got {
			opened = append(opened, r.Case)
		}
		return opened
	})
	other = opened[0]
	check("GetCase", there, func() []cases.CaseID {
		_, err := d.GetCase(ctx, y, desk.GetRequest{Case: id, Unmask: true})
		must(err)
		return []cases.CaseID{id}
	})
	check("ListCases", here, func() (ids []cases.CaseID) {
		list, _, err := d.ListCases(ctx, x, desk.ListRequest{})
		must(err)
		for _, v := range list {
			ids = append(ids, v.ID)
		}
		if len(ids) != 4 {
			t.Errorf("listed %d", len(ids))
		}
		return ids
	})
	check("ListCases", here, func() []cases.CaseID { // a miss
		list, _, err := d.ListCases(ctx, x, desk.ListRequest{Kind: cases.Assist})
		must(err)
		if len(list) != 0 {
			t.Error("found something")
		}
		return nil
	})
	check("TraceCase", here, func() []cases.CaseID {
		_, err := d.Trace(ctx, x, id, "test")
		must(err)
		return []cases.CaseID{id}
	})
	refs := map[cases.CaseID]desk.CaseRef{id: b.ref(there, id), other: b.ref(there, other), opened[2]: b.ref(residence, opened[2])}
	check("DistributeCases", there, func() []cases.CaseID {
		_, err := d.Distribute(ctx, harness.Clerk(access.Distributor, residence), desk.DistributeRequest{RequestID: b.request(), Refs: []desk.CaseRef{refs[opened[2]]}, Township: there})
		must(err)
		return []cases.CaseID{opened[2]}
	})
	check("PairCase", there, func() []cases.CaseID {
		_, err := d.Pair(ctx, y, desk.PairRequest{RequestID: b.request(), Ref: refs[id]})
		must(err)
		return []cases.CaseID{id}
	})
	// Of an unpaired notice its case, and whom the list names.
	check("ListCandidates", there, func() []cases.CaseID {
		got, err := d.ListCandidates(ctx, y, other, "test")
		must(err)
		if len(got) != 1 {
			t.Errorf("%d candidates", len(got))
		}
		return []cases.CaseID{other, id}
	})
	unpair := desk.UnpairRequest{RequestID: b.request(), Ref: b.ref(there, id)}
	paired := who(there, id)
	events, subjects := logged(t, raw, func() {
		_, err := d.Unpair(ctx, y, unpair)
		must(err)
	})
	if covered["UnpairCase"] = true; events != 1 || !slices.Equal(subjects, paired) {
		t.Errorf("UnpairCase: %d events about %d people", events, len(subjects))
	}
	again := desk.PairRequest{RequestID: b.request(), Ref: b.ref(there, id), Person: cases.PersonID(paired[0])}
	check("PairCase", there, func() []cases.CaseID {
		_, err := d.Pair(ctx, y, again)
		must(err)
		return []cases.CaseID{id}
	})
	answer := desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(there, id), Answer: desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}}}
	for range 2 {
		check("AnswerCase", there, func() []cases.CaseID {
			_, _, err := d.Answer(ctx, y, answer)
			must(err)
			return []cases.CaseID{id}
		})
	}
	check("BatchAnswerCases", there, func() []cases.CaseID {
		got, err := d.AnswerMany(ctx, y, []desk.AnswerRequest{{RequestID: b.request(), Ref: refs[other], Answer: desk.AnswerInput{Outcome: cases.Misrouted}}})
		must(err)
		must(got[0].Err)
		return []cases.CaseID{other}
	})
	shown := b.ref(there, id)
	check("RecordOffer", there, func() []cases.CaseID {
		_, err := b.site(there).Services.RecordOffer(ctx, y, offer(b.request(), shown, ledger.OfferDeclined))
		must(err)
		return []cases.CaseID{id}
	})
	shown = b.ref(here, other)
	check("RerouteCase", here, func() []cases.CaseID {
		_, err := d.Reroute(ctx, x, desk.RerouteRequest{RequestID: b.request(), Ref: shown, Destination: beside})
		must(err)
		return []cases.CaseID{other}
	})
	correct := desk.CorrectRequest{RequestID: b.request(), Ref: b.ref(here, opened[1]), Fields: many[1].Fields}
	check("CorrectCase", here, func() []cases.CaseID {
		_, _, err := d.Correct(ctx, x, correct)
		must(err)
		return []cases.CaseID{opened[1]}
	})
	for _, n := range []struct {
		method string
		id     cases.CaseID
		run    note
	}{{"WithdrawCase", opened[1], withdraw}, {"DisputeCase", id, dispute}, {"CloseCase", id, closing}, {"ReopenCase", id, reopen}} {
		r := change(here, n.id)
		check(n.method, here, func() []cases.CaseID {
			_, err := n.run(d, x, r)
			must(err)
			return []cases.CaseID{n.id}
		})
	}
	var c desk.Consent
	about := func(method string, call func()) {
		t.Helper()
		covered[method] = true
		events, got := logged(t, raw, call)
		if events != 1 || len(got) != 1 || got[0] != [16]byte(c.Person) {
			t.Errorf("%s: %d events about %d people", method, events, len(got))
		}
	}
	give := b.consent(here, 1, ledger.PurposeConfirm, there)
	for range 2 {
		about("RecordConsent", func() {
			var err error
			c, err = d.RecordConsent(ctx, x, give)
			must(err)
		})
	}
	about("ListConsents", func() {
		_, err := d.ListConsents(ctx, x, here, desk.PersonRef{ID: c.Person}, "test")
		must(err)
	})
	back := b.request()
	for range 2 {
		about("WithdrawConsent", func() {
			_, _, err := d.WithdrawConsent(ctx, x, back, c.ID)
			must(err)
		})
	}
	// Misses and denials leave an event without anybody.
	for name, call := range map[string]func(){
		"get":      func() { _, _ = d.GetCase(ctx, clerk(beside), desk.GetRequest{Case: id}) },
		"answer":   func() { _, _, _ = d.Answer(ctx, clerk(beside), answer) },
		"side":     func() { _, _, _ = d.Answer(ctx, x, answer) },
		"role":     func() { _, _, _ = d.ListCases(ctx, harness.Clerk(access.Admin, here), desk.ListRequest{}) },
		"office":   func() { _, _, _ = d.ListCases(ctx, x, desk.ListRequest{Office: there}) },
		"consents": func() { _, _ = d.ListConsents(ctx, x, here, desk.PersonRef{Document: person(300)}, "test") },
		"withdraw": func() { _, _, _ = d.WithdrawConsent(ctx, clerk(beside), b.request(), c.ID) },
		"watch":    func() { _ = d.Watch(ctx, x, there, func(desk.Change) error { return nil }) },
	} {
		if events, got := logged(t, raw, call); events != 1 || len(got) != 0 {
			t.Errorf("%s: %d events about %d people", name, events, len(got))
		}
	}
	for _, file := range []protoreflect.FileDescriptor{casesv1.File_yipan_cases_v1_case_service_proto, consentv1.File_yipan_consent_v1_consent_service_proto} {
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			if name := string(methods.Get(i).Name()); !covered[name] {
				t.Errorf("%s is not held against the access log", name)
			}
		}
	}
}
