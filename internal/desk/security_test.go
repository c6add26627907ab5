package desk_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/ledger"
	"yipan/internal/store"
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
