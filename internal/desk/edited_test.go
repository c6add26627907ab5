package desk_test

import (
	"context"
	"slices"
	"testing"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

// known finds the file of the i-th synthetic person.
func (b *bureau) known(office area.Key, i int) (id cases.PersonID) {
	b.Helper()
	s := b.site(office)
	err := s.People.In(b.Context(), clerk(office), func(tx *store.Tx) error {
		ids, _, err := s.People.Find(b.Context(), tx, []people.Ref{{Office: office, Doc: ident.Doc{Kind: ident.KindResident, Number: person(i)}}})
		id = ids[0]
		return err
	})
	if err != nil || id.IsZero() {
		b.Fatalf("the person is not known: %v", err)
	}
	return id
}

// edit changes fields of a file as it is now.
func (b *bureau) edit(office area.Key, id cases.PersonID, f people.Profile, fields ...string) people.Updated {
	b.Helper()
	s := b.site(office)
	seen, _, err := s.People.GetPerson(b.Context(), clerk(office), id, "test")
	if err != nil {
		b.Fatalf("get: %v", err)
	}
	got, err := s.People.UpdatePerson(b.Context(), clerk(office), people.UpdateRequest{RequestID: b.request(), Person: id, Etag: seen.Etag, Profile: f, Fields: fields})
	if err != nil {
		b.Fatalf("edit: %v", err)
	}
	b.settle()
	return got
}

// TestEditCorrectsCases: a new name or document in the file reaches the notices
// that wait, and only those; the clerk hears of the answered ones.
func TestEditCorrectsCases(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		id := b.open(b.notice(1, there))
		who := b.known(here, 1)
		received, _ := b.file(there, profile(1))
		if got := b.pair(there, id); got != received {
			t.Fatal("paired with another")
		}
		got := b.edit(here, who, people.Profile{Name: "示例乙"}, "name")
		if !slices.Equal(got.Corrected, []cases.CaseID{id}) || len(got.Warnings) != 0 {
			t.Errorf("%d corrected, warnings %v", len(got.Corrected), got.Warnings)
		}
		doc := ledger.Document{Number: person(800), Kind: ident.KindResident}
		got = b.edit(here, who, people.Profile{Documents: []ledger.Document{doc}, Birth: civil.MustParse("1990-01-03")}, "documents", "birth_date")
		if !slices.Equal(got.Corrected, []cases.CaseID{id}) {
			t.Errorf("%d corrected by the document", len(got.Corrected))
		}
		v := b.status(there, id, cases.StatusOpen)
		if f := v.Fields; f.Name != "示例乙" || f.DocumentNumber != person(800) || f.Birth != civil.MustParse("1990-01-03") || f.Basis.Kind != cases.BasisRequest {
			t.Error("the receiver does not see who the person is now")
		}
		if got = b.edit(here, who, people.Profile{Contacts: []ledger.Contact{{Value: "13900000000"}}}, "contacts"); len(got.Corrected) != 0 {
			t.Errorf("a telephone corrected %d", len(got.Corrected))
		}
		// What the residence writes into its own file is no correction of a notice
		// that it received.
		if got = b.edit(there, received, people.Profile{Name: "示例丙"}, "name"); len(got.Corrected) != 0 {
			t.Errorf("the receiver corrected %d", len(got.Corrected))
		}
		b.answer(there, id, desk.AnswerInput{Outcome: cases.NotFound})
		got = b.edit(here, who, people.Profile{Name: "示例丁"}, "name")
		if len(got.Corrected) != 0 || len(got.Warnings) != 1 {
			t.Errorf("answered: %d corrected, warnings %v", len(got.Corrected), got.Warnings)
		}
		if f := b.get(here, id).Fields; f.Name != "示例乙" {
			t.Error("an answered notice changed")
		}
		b.conserved()
	})
}

// TestEditPairsWaiting: a notice that waited for the right number is paired when
// the file gets it, and a file with the same is proposed.
func TestEditPairsWaiting(t *testing.T) {
	b := newBureau(t, true)
	id := b.open(b.notice(1, there))
	slip, _ := b.file(there, profile(1, numbered(ident.KindResident, transposed(person(1)))))
	if n := b.turn(there); n != 0 {
		t.Fatalf("%d paired by a number that differs", n)
	}
	got := b.edit(there, slip, profile(1), "documents")
	if !slices.Equal(got.Paired, []cases.CaseID{id}) || !slices.Equal(got.File.Cases, got.Paired) {
		t.Errorf("%d paired, %d cases in the file", len(got.Paired), len(got.File.Cases))
	}
	if len(got.Warnings) != 0 {
		t.Errorf("warnings %v", got.Warnings)
	}
	right, _ := b.file(there, profile(3, named("示例乙")))
	wrong, _ := b.file(there, profile(700, named("示例乙")))
	got = b.edit(there, wrong, profile(3, numbered(ident.KindResident, transposed(person(3))), func(f *people.Profile) { f.Birth = civil.MustParse("1990-01-01") }), "documents", "birth_date")
	if len(got.Warnings) == 0 {
		t.Error("the clerk hears nothing of a file that is alike")
	}
	ds, _ := b.duplicates(there, 0, "")
	if len(ds) != 1 || ds[0].A.ID != right && ds[0].B.ID != right || ds[0].A.ID != wrong && ds[0].B.ID != wrong {
		t.Errorf("%d proposals", len(ds))
	}
}

// TestEditIsNoTry: after IDENTITY_CONFLICT the file is no way around the limit of
// tries (SECURITY D2).
func TestEditIsNoTry(t *testing.T) {
	b := newBureau(t, true)
	r := b.notice(1, there)
	r.Kind = cases.Inflow
	id := b.open(r)
	b.answer(there, id, desk.AnswerInput{Outcome: cases.IdentityConflict, ConflictFields: []string{"name"}})
	b.change(here, id, dispute) // 1
	who := b.known(here, 1)
	corrected, warned := 0, 0
	for _, name := range []string{"示例甲", "示例乙", "示例丙", "示例丁", "示例戊", "示例己"} {
		got := b.edit(here, who, people.Profile{Name: name}, "name")
		corrected, warned = corrected+len(got.Corrected), warned+len(got.Warnings)
	}
	if corrected != 4 || warned != 2 {
		t.Errorf("%d corrected, %d refused", corrected, warned)
	}
}

// TestCorrectStaysWithThePerson: a correction does not turn a notice into one
// about another of the ledger.
func TestCorrectStaysWithThePerson(t *testing.T) {
	b := newBureau(t, true)
	id := b.open(b.notice(1, there))
	b.file(here, profile(2, named("示例乙")))
	f := b.notice(2, there).Fields
	f.Name = "示例乙"
	refused(t, b.correct(id, f, errWanted), fault.KindConflict, "PERSON_EXISTS", "fields.document")
	if v := b.get(here, id); v.Fields.DocumentNumber != person(1) {
		t.Error("the notice is about somebody else")
	}
	f = b.notice(1, there).Fields
	f.Name = "测试甲甲"
	b.correct(id, f, nil)
	f.Document = person(3) // nobody's: a slip of the pen is put right
	b.correct(id, f, nil)
	// A second file of the same person is no stranger.
	other, _ := b.file(here, profile(4))
	b.merge(here, b.known(here, 1), other)
	f.Document = person(4)
	b.correct(id, f, nil)
}

// TestMachinePairingKeepsEtags: what a clerk was shown before the machine paired
// the notice is no stale view; what another clerk did is.
func TestMachinePairingKeepsEtags(t *testing.T) {
	for name, verb := range map[string]func(context.Context, *desk.Desk, string, desk.CaseRef) error{
		"pair": func(ctx context.Context, d *desk.Desk, id string, ref desk.CaseRef) error {
			_, err := d.Pair(ctx, clerk(there), desk.PairRequest{RequestID: id, Ref: ref})
			return err
		},
		"answer": func(ctx context.Context, d *desk.Desk, id string, ref desk.CaseRef) error {
			_, _, err := d.Answer(ctx, clerk(there), desk.AnswerRequest{RequestID: id, Ref: ref, Answer: desk.AnswerInput{Outcome: cases.NotFound}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBureau(t, true)
			first, second := b.open(b.notice(1, there)), b.open(b.notice(2, there))
			seen := []desk.CaseRef{b.ref(there, first), b.ref(there, second)}
			b.file(there, profile(1)) // pairs the first, if it was noted; else the turn does
			b.turn(there)
			b.file(there, profile(2))
			for i, ref := range seen {
				if v := b.get(there, ref.Case); !v.Paired || v.Etag != ref.Etag {
					t.Fatalf("%d: paired %v, the etag changed: %v", i, v.Paired, v.Etag != ref.Etag)
				}
				if err := verb(t.Context(), b.at(there), b.request(), ref); err != nil {
					t.Errorf("%d: %v", i, err)
				}
				refused(t, verb(t.Context(), b.at(there), b.request(), ref), fault.KindConflict, "ETAG_STALE", "etag")
			}
		})
	}
}
