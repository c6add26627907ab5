package desk_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/harness"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// bodies decrypts all bodies of a kind at a site, in order of recording.
func (b *bureau) bodies(k area.Key, kind cases.ItemKind) [][]byte {
	b.Helper()
	s := b.site(k)
	raw := b.raw(k)
	defer raw.Close()
	var ids []cases.ItemID
	for _, r := range raw.Rows(b.TB, `SELECT id FROM item WHERE kind = $1 ORDER BY recorded_at, id`, int16(kind)) {
		ids = append(ids, r[0].([16]byte))
	}
	var out [][]byte
	err := s.DB.InExchange(b.Context(), nil, func(tx *store.Tx) error {
		out = nil
		for _, id := range ids {
			rows, err := tx.Items(b.Context(), []cases.ItemID{id})
			if err != nil {
				return err
			}
			cs, err := s.Book.Read(b.Context(), tx, []cases.CaseID{rows[0].Case})
			if err != nil {
				return err
			}
			it, err := cs[rows[0].Case].Open(&rows[0])
			if err != nil {
				return err
			}
			out = append(out, it.BodyRaw)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// TestSecurity01NoDisclosureIsOneBody: row 1. Every true reason, and every
// answer that was turned for want of a basis, leaves as the same bytes; so does
// every reason for which a round's feedback says nothing.
func TestSecurity01NoDisclosureIsOneBody(t *testing.T) {
	b := newBureau(t, false)
	i := 0
	for _, reason := range ledger.TrueReasons() {
		i++
		b.answer(there, b.open(b.notice(i, there)), desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: reason, Reason: reason, Check: "visit", Attempts: 2})
	}
	for _, in := range []desk.AnswerInput{
		{Outcome: cases.Residing, Check: "visit", Reason: "long words"}, {Outcome: cases.NotFound},
		{Outcome: cases.MovedOn, Area: yonder}, {Outcome: cases.Unreachable, Attempts: 9, Channels: []string{"phone", "letter"}},
	} {
		i++
		b.answer(there, b.open(b.notice(i, there)), in)
	}
	for _, office := range []area.Key{here, there} {
		got := b.bodies(office, cases.Answer)
		if len(got) != i {
			t.Fatalf("%d answers at %s, want %d", len(got), office, i)
		}
		for _, body := range got {
			if !bytes.Equal(body, got[0]) {
				t.Errorf("bodies of NO_DISCLOSURE differ at %s", office)
			}
		}
	}

	b = newBureau(t, false)
	b.disclosed(0, ledger.OfferDone, true) // released, first in order
	for i, result := range ledger.OfferResults() {
		b.disclosed(10+i, result, false)
	}
	id := b.open(b.notice(30, there)) // nothing was offered
	b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
	b.endRound()
	got := b.bodies(here, cases.Feedback)
	if len(got) != len(ledger.OfferResults())+2 {
		t.Fatalf("%d feedbacks", len(got))
	}
	distinct := map[string]int{}
	for _, body := range got {
		distinct[string(body)]++
		if len(body) != len(got[0]) {
			t.Errorf("feedback bodies of %d and %d bytes", len(body), len(got[0]))
		}
	}
	if len(distinct) != 2 {
		t.Errorf("%d distinct feedback bodies, want the released one and one other", len(distinct))
	}
	raw := b.raw(here)
	if n := fmt.Sprint(raw.Rows(t, `SELECT count(DISTINCT recorded_at), count(DISTINCT length(head)), count(DISTINCT length(body)) FROM item WHERE kind = 8`)[0]...); n != "1 1 1" {
		t.Errorf("times and sizes of feedback: %s", n)
	}
}

// links says for each table how its rows belong to people at the office there:
// a query of (person, row). Tables that belong to nobody are empty strings.
var links = map[string]string{
	"person":      `SELECT t.id AS who, t.* FROM person t WHERE office = $1`,
	"consent":     `SELECT t.person AS who, t.* FROM consent t WHERE office = $1`,
	"case_side":   `SELECT t.person AS who, t.* FROM case_side t WHERE office = $1 AND person IS NOT NULL`,
	"offer":       `SELECT s.person AS who, t.* FROM offer t JOIN case_side s ON s.case_id = t.case_id AND s.office = t.office WHERE t.office = $1 AND s.person IS NOT NULL`,
	"leg":         `SELECT s.person AS who, t.* FROM leg t JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"item":        `SELECT s.person AS who, t.* FROM item t JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"share":       `SELECT s.person AS who, t.* FROM share t JOIN item i ON i.id = t.item JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"cover":       `SELECT s.person AS who, t.* FROM cover t JOIN item i ON i.id = t.item JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"side_round":  `SELECT s.person AS who, t.* FROM side_round t JOIN case_side s USING (case_id, office) WHERE t.office = $1 AND s.person IS NOT NULL`,
	"access_log":  `SELECT w AS who, t.* FROM access_log t, unnest(subjects) w WHERE office = $1`,
	"certificate": `SELECT t.person AS who, t.* FROM certificate t WHERE office = $1`,
	// Joined by nothing but its order, which is that of the people here.
	"request": `SELECT p.person AS who, t.* FROM (SELECT *, row_number() OVER (ORDER BY at, request_id) AS n FROM request WHERE method = 'offer') t
	            JOIN (SELECT person, row_number() OVER (ORDER BY min(id)) AS n FROM (SELECT id, subjects[1] AS person FROM access_log WHERE purpose = 'offer') l GROUP BY person) p USING (n) WHERE t.office = $1`,
	"tombstone": `SELECT s.person AS who, t.* FROM tombstone t JOIN item i ON i.id = t.item JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"digest":    "", "digest_dropped": "", "account": "", "token": "", "peer": "", "directory_record": "", "quarantine": "", "outage": "", "note": "",
	"goose_db_version": "",
}

// separates looks for a column in which the two groups do not overlap: by
// value, by length or by stored size.
func (b *bureau) separates(groups [2][]cases.PersonID) (found []string) {
	b.Helper()
	raw := b.raw(there)
	defer raw.Close()
	for _, r := range raw.Rows(b.TB, `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`) {
		table := r[0].(string)
		sql, ok := links[table]
		if !ok {
			b.Errorf("table %s is new: say in links how it belongs to people", table)
			continue
		}
		if sql == "" {
			continue
		}
		for _, c := range raw.Rows(b.TB, `SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`, table) {
			name, kind := c[0].(string), c[1].(string)
			forms := []string{"pg_column_size(%s)"}
			switch kind {
			case "bytea":
				forms = append(forms, "length(%s)")
			case "uuid", "ARRAY":
			case "text":
				forms = append(forms, "length(%s)", "hashtextextended(%s, 0)")
			case "boolean":
				forms = append(forms, "%s::int")
			case "timestamp with time zone":
				forms = append(forms, "CASE WHEN isfinite(%[1]s) THEN (extract(epoch FROM %[1]s) * 1000000)::bigint ELSE -2 END")
			case "date":
				forms = append(forms, "%s - date '2000-01-01'")
			default:
				forms = append(forms, "%s")
			}
			for _, f := range forms {
				form := fmt.Sprintf(f, name)
				var values [2][]int64
				for _, row := range raw.Rows(b.TB, fmt.Sprintf(`SELECT who, coalesce((%s)::bigint, -1) FROM (%s) q`, form, sql), int64(there)) {
					for g := range groups {
						if slices.Contains(groups[g], row[0].([16]byte)) {
							values[g] = append(values[g], row[1].(int64))
						}
					}
				}
				if apart(values) {
					found = append(found, table+": "+form)
				}
			}
		}
		// Whether a person has a row at all, and how many.
		counts := [2]map[int64]bool{{}, {}}
		for g := range groups {
			for _, who := range groups[g] {
				n := raw.Rows(b.TB, fmt.Sprintf(`SELECT count(*) FROM (%s) q WHERE who = $2`, sql), int64(there), [16]byte(who))
				counts[g][n[0][0].(int64)] = true
			}
		}
		if diff := cmp.Diff(counts[0], counts[1]); diff != "" {
			found = append(found, table+": number of rows")
		}
	}
	return found
}

// apart reports whether a value tells the groups apart: one group has a value
// often that the other never has, or a threshold divides them.
func apart(v [2][]int64) bool {
	if len(v[0]) == 0 || len(v[1]) == 0 {
		return len(v[0]) != len(v[1])
	}
	if slices.Max(v[0]) < slices.Min(v[1]) || slices.Max(v[1]) < slices.Min(v[0]) {
		return true
	}
	for g := range v {
		often := map[int64]int{}
		for _, x := range v[g] {
			often[x]++
		}
		for x, n := range often {
			if n > 1 && !slices.Contains(v[1-g], x) {
				return true
			}
		}
	}
	return false
}

// TestSecurity11PlainColumnsCannotSeparateDeclinedFromDone: row 11. Nothing that
// the database shows in clear, and no size, tells who declined: during the
// round, and after its feedback left.
func TestSecurity11PlainColumnsCannotSeparateDeclinedFromDone(t *testing.T) {
	b := newBureau(t, false)
	const each = 12
	var groups [2][]cases.PersonID
	for i := range 2 * each {
		id := b.open(b.notice(i, there))
		b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
		who := b.pair(there, id)
		c := b.consents(there, i, ledger.PurposeFeedback, here) // everybody gave one
		r := offer(b.request(), b.ref(there, id), ledger.OfferDeclined)
		g := (i + i/2) % 2 // ABBA: no order separates them
		if g == 1 {
			r.Result, r.Consent = ledger.OfferDone, c.ID
			r.Findings = map[string]string{"pregnancy": "none", "iud": "in_place", "reproductive_health": strings.Repeat("x", 80)}
		}
		if _, err := b.at(there).RecordOffer(t.Context(), clerk(there), r); err != nil {
			t.Fatal(err)
		}
		groups[g] = append(groups[g], who)
	}
	if found := b.separates(groups); len(found) > 0 {
		t.Errorf("during the round, declined and done are told apart by %v", found)
	}
	// Locks leave traces in rows as well.
	raw := b.raw(there)
	if n := fmt.Sprint(raw.Rows(t, `SELECT count(DISTINCT (xmax = '0'::xid)) FROM consent`)[0]...); n != "1" {
		t.Error("row locks tell which consents were cited")
	}
	raw.Close()
	b.endRound()
	if n := len(b.bodies(here, cases.Feedback)); n != 2*each {
		t.Fatalf("%d feedbacks arrived", n)
	}
	if found := b.separates(groups); len(found) > 0 {
		t.Errorf("after the round, declined and done are told apart by %v", found)
	}

	// Answers: a refusal, a residence that was confirmed, and one that was not.
	b = newBureau(t, false)
	groups = [2][]cases.PersonID{}
	for i := range 2 * each {
		id := b.open(b.notice(i, there))
		who := b.pair(there, id)
		in := desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}
		g := (i + i/2) % 2
		if g == 1 {
			in = desk.AnswerInput{Outcome: cases.Residing, Check: "document", Basis: desk.BasisInput{Kind: cases.BasisRequest}}
		}
		b.answer(there, id, in)
		groups[g] = append(groups[g], who)
	}
	if found := b.separates(groups); len(found) > 0 {
		t.Errorf("refusal and confirmation are told apart by %v", found)
	}
}

// TestSecurity11SeparatesFindsLeaks shows that the search above finds what it
// looks for.
func TestSecurity11SeparatesFindsLeaks(t *testing.T) {
	b := newBureau(t, false)
	var groups [2][]cases.PersonID
	for i := range 8 {
		id, _ := b.disclosed(i, ledger.OfferDeclined, false)
		raw := b.raw(there)
		who := raw.Rows(t, `SELECT person FROM case_side WHERE case_id = $1`, [16]byte(id))[0][0].([16]byte)
		if g := (i + i/2) % 2; g == 1 {
			raw.Exec(t, `UPDATE offer SET sealed = sealed || '\x00'::bytea WHERE case_id = $1`, [16]byte(id))
			groups[1] = append(groups[1], who)
		} else {
			groups[0] = append(groups[0], who)
		}
		raw.Close()
	}
	found := b.separates(groups)
	if !slices.Contains(found, "offer: length(sealed)") || !slices.Contains(found, "offer: pg_column_size(sealed)") {
		t.Errorf("a planted leak is not found: %v", found)
	}
}

// TestSecurity26SameDocumentInTwoOffices: row 26, at the desk. An office that
// files a person known next door sees exactly what it sees of a stranger.
func TestSecurity26SameDocumentInTwoOffices(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	b.consents(here, 1, ledger.PurposeConfirm, there) // known next door
	second := area.Children(origin)[1]
	var views []desk.CaseView
	var consents []desk.Consent
	for _, i := range []int{1, 2} {
		_, err := d.ListConsents(t.Context(), clerk(second), second, desk.PersonRef{Document: person(i)}, "test")
		refused(t, err, 2, "PERSON_NOT_FOUND", "person")
		r := b.notice(i, there)
		r.Origin = second
		v, warnings, err := d.OpenCase(t.Context(), clerk(second), r)
		if err != nil || len(warnings) != 0 {
			t.Fatal(warnings, err)
		}
		views = append(views, v)
		c, err := d.RecordConsent(t.Context(), clerk(second), b.consent(second, i, ledger.PurposeConfirm, there))
		if err != nil {
			t.Fatal(err)
		}
		consents = append(consents, c)
		list, err := d.ListConsents(t.Context(), clerk(second), second, desk.PersonRef{Document: person(i)}, "test")
		if err != nil || len(list) != 1 {
			t.Errorf("person %d: %d consents, %v", i, len(list), err)
		}
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool {
		return slices.Contains([]string{"ID", "Person", "Etag", "OpenedAt", "DeliveredAt", "GivenAt", "ValidUntil", "DocumentNumber", "Sex"}, strings.TrimPrefix(p.Last().String(), "."))
	}, cmp.Ignore())
	if diff := cmp.Diff(views[0], views[1], ignore); diff != "" {
		t.Errorf("views differ:\n%s", diff)
	}
	if diff := cmp.Diff(consents[0], consents[1], ignore); diff != "" {
		t.Errorf("consents differ:\n%s", diff)
	}
	raw := b.raw(here)
	if n := fmt.Sprint(raw.Rows(t, `SELECT count(*), count(DISTINCT doc_index) FROM person`)[0]...); n != "3 3" {
		t.Errorf("persons and their indexes: %s", n)
	}
}

// TestSecurity35ConsentInBulkImpossible: row 35. No request holds more than one
// consent to be given, no client stream carries them, no method of the desk or
// the store takes a list.
func TestSecurity35ConsentInBulkImpossible(t *testing.T) {
	files := []protoreflect.FileDescriptor{
		casesv1.File_yipan_cases_v1_case_service_proto, consentv1.File_yipan_consent_v1_consent_service_proto,
		nodev1.File_yipan_node_v1_node_service_proto, ratesv1.File_yipan_rates_v1_rate_service_proto,
	}
	given := map[protoreflect.FullName]bool{
		(&consentv1.Consent{}).ProtoReflect().Descriptor().FullName():              true,
		(&consentv1.RecordConsentRequest{}).ProtoReflect().Descriptor().FullName(): true,
	}
	var holds func(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool
	holds = func(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
		if given[m.FullName()] {
			return true
		}
		if seen[m.FullName()] {
			return false
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			if f := m.Fields().Get(i); f.Message() != nil && holds(f.Message(), seen) {
				return true
			}
		}
		return false
	}
	var walk func(method string, m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool)
	walk = func(method string, m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
		if seen[m.FullName()] {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Message() == nil {
				continue
			}
			if (f.IsList() || f.IsMap()) && holds(f.Message(), map[protoreflect.FullName]bool{}) {
				t.Errorf("%s: %s carries several consents", method, f.FullName())
			}
			walk(method, f.Message(), seen)
		}
	}
	recording := 0
	for _, file := range files {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				if holds(m.Input(), map[protoreflect.FullName]bool{}) {
					recording++
				}
				if m.IsStreamingClient() {
					t.Errorf("%s takes a stream of requests", m.FullName())
				}
				walk(string(m.FullName()), m.Input(), map[protoreflect.FullName]bool{})
			}
		}
	}
	if recording != 1 {
		t.Errorf("%d methods record a consent, want 1", recording)
	}
	for _, v := range []any{&desk.Desk{}, &store.Tx{}, &store.DB{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumMethod() {
			m := typ.Method(i)
			for k := range m.Type.NumIn() {
				in := m.Type.In(k)
				if in.Kind() == reflect.Slice && slices.Contains([]reflect.Type{
					reflect.TypeFor[desk.Consent](), reflect.TypeFor[desk.ConsentRequest](), reflect.TypeFor[store.ConsentRow](), reflect.TypeFor[ledger.Consent](),
				}, in.Elem()) {
					t.Errorf("%s.%s takes many consents", typ, m.Name)
				}
			}
		}
	}
}

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
		_, err := d.RecordOffer(ctx, y, offer(b.request(), shown, ledger.OfferDeclined))
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
