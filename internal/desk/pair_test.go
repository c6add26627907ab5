package desk_test

import (
	"fmt"
	"sync"
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
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

// file registers a person of an office's ledger, and pairs the notices that
// waited for them, in one transaction.
func (b *bureau) file(office area.Key, f people.Profile) (id cases.PersonID, paired []cases.CaseID) {
	b.Helper()
	s, p := b.site(office), clerk(office)
	err := s.People.In(b.Context(), p, func(tx *store.Tx) (err error) {
		if id, _, err = s.People.Register(b.Context(), tx, p, office, f, civil.MustParse("2026-11-01")); err != nil {
			return err
		}
		paired, err = s.Desk.PairWaiting(b.Context(), tx, p, office, id)
		return err
	})
	if err != nil {
		b.Fatalf("register: %v", err)
	}
	return id, paired
}

// profile is what the ledger knows of the i-th synthetic person.
func profile(i int, change ...func(*people.Profile)) people.Profile {
	f := people.Profile{
		Name: "测试甲", Documents: []ledger.Document{{Kind: ident.KindResident, Number: person(i)}},
		Contacts: []ledger.Contact{{Kind: ledger.ContactPhone, Value: phone, Safe: true, Preference: "any"}},
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

func numbered(kind ident.Kind, number string) func(*people.Profile) {
	return func(f *people.Profile) {
		f.Documents = []ledger.Document{{Kind: kind, Number: number, Confirmed: "经核对证件原件"}}
	}
}

func named(name string, former ...string) func(*people.Profile) {
	return func(f *people.Profile) { f.Name, f.FormerNames = name, former }
}

func (b *bureau) candidates(office area.Key, id cases.CaseID) []desk.Candidate {
	b.Helper()
	got, err := b.at(office).ListCandidates(b.Context(), clerk(office), id, "test")
	if err != nil {
		b.Fatalf("candidates: %v", err)
	}
	return got
}

func (b *bureau) turn(office area.Key) int64 {
	b.Helper()
	n, err := b.at(office).PairOpen(b.Context())
	if err != nil {
		b.Fatalf("pair: %v", err)
	}
	return n
}

func (b *bureau) met(office area.Key) int64 {
	b.Helper()
	n, err := b.at(office).PairMet(b.Context())
	if err != nil {
		b.Fatalf("pair: %v", err)
	}
	return n
}

// transposed exchanges two neighbouring digits of a number, in its area: the
// birth date stays, the check digit fails.
func transposed(n string) string { return n[:1] + n[2:3] + n[1:2] + n[3:] }

func old(n string) string { return n[:6] + n[8:17] }

// TestCandidates: each reason, from the ledger as it is stored.
func TestCandidates(t *testing.T) {
	b := newBureau(t, true)
	other := "示例乙"
	for i, tt := range []struct {
		name    string
		files   []people.Profile
		notice  string // its name
		reasons []string
		certain bool
		reason  string // of a refusal to decide; "": none
	}{
		{name: "the document and the name", files: []people.Profile{profile(1)}, reasons: []string{"document_equal", "name_equal", "birth_equal", "phone_equal"}, certain: true},
		{name: "15 digits", files: []people.Profile{profile(2, numbered(ident.KindResident15, old(person(2))))},
			reasons: []string{"document_15_18", "name_equal", "birth_equal", "phone_equal"}, certain: true},
		{name: "digits transposed", files: []people.Profile{profile(3, numbered(ident.KindResident, transposed(person(3))))},
			reasons: []string{"document_transposed", "name_equal", "birth_equal", "phone_equal"}, reason: "PAIR_AMBIGUOUS"},
		{name: "another name", files: []people.Profile{profile(4, named(other))}, reasons: []string{"document_equal", "birth_equal", "phone_equal", "name_differs"}, reason: "PAIR_AMBIGUOUS"},
		{name: "a former name and document", files: []people.Profile{profile(5, named(other, "测试甲"))},
			reasons: []string{"document_equal", "former_name", "birth_equal", "phone_equal"}, reason: "PAIR_AMBIGUOUS"},
		{name: "a former document", files: []people.Profile{profile(6, func(f *people.Profile) {
			f.Documents = []ledger.Document{{Kind: ident.KindPassport, Number: "E12345678"}, {Kind: ident.KindResident, Number: person(6), Former: true}}
			f.Birth = civil.MustParse("1990-01-01")
		})}, reasons: []string{"document_equal", "name_equal", "birth_equal", "phone_equal"}, certain: true},
		{name: "middle dots", notice: "示例•乙", files: []people.Profile{profile(7, named("示例．乙"))},
			reasons: []string{"document_equal", "name_dots", "birth_equal", "phone_equal"}, certain: true},
		{name: "a rare character", notice: "𬱖测", files: []people.Profile{profile(8, named("𬱖测"))}, reasons: []string{"document_equal", "name_equal", "birth_equal", "phone_equal"}, certain: true},
		{name: "name and birth date", notice: "示例丙", files: []people.Profile{profile(9, named("示例丙"), func(f *people.Profile) {
			f.Documents, f.Birth, f.Contacts = nil, civil.MustParse("1990-01-01"), nil
		})}, reasons: []string{"name_equal", "birth_equal"}, reason: "PAIR_AMBIGUOUS"},
		{name: "a former name and birth date", notice: "示例丁", files: []people.Profile{profile(10, named("测试乙", "示例丁"), func(f *people.Profile) {
			f.Documents, f.Birth = nil, civil.MustParse("1990-01-01")
		})}, reasons: []string{"former_name", "birth_equal", "phone_equal"}, reason: "PAIR_AMBIGUOUS"},
		{name: "two", notice: "示例戊", files: []people.Profile{profile(11, named("示例戊")), profile(11, named("示例戊"), numbered(ident.KindResident, transposed(person(11))))},
			reasons: []string{"document_equal", "name_equal", "birth_equal", "phone_equal"}, reason: "PAIR_AMBIGUOUS"},
		{name: "a namesake with another document", notice: "示例己", files: []people.Profile{profile(14, named("示例己"))},
			reasons: []string{"name_equal", "birth_equal", "phone_equal", "document_differs"}},
		{name: "nobody", notice: "示例庚"},
	} {
		i++
		// An office of its own for each: what one registered is no other's.
		office := area.Children(residence)[i%len(area.Children(residence))]
		if i >= len(area.Children(residence)) {
			t.Fatal("too few townships")
		}
		r := b.notice(i, office)
		if tt.notice != "" {
			r.Fields.Name = tt.notice
		}
		id := b.open(r)
		var ids []cases.PersonID
		for _, f := range tt.files {
			who, paired := b.file(office, f)
			if ids = append(ids, who); len(paired) != 0 {
				t.Errorf("%s: paired by registering, though nobody had looked for it", tt.name)
			}
		}
		got := b.candidates(office, id)
		if len(got) != len(tt.files) {
			t.Errorf("%s: %d candidates of %d", tt.name, len(got), len(tt.files))
			continue
		}
		if len(got) > 0 {
			if diff := cmp.Diff(tt.reasons, got[0].Reasons); diff != "" || got[0].Certain != tt.certain || got[0].Person != ids[0] || len(got[0].ReasonsZh) != len(got[0].Reasons) {
				t.Errorf("%s: certain %v, reasons:\n%s", tt.name, got[0].Certain, diff)
			}
			if d := got[0].Document; d != "" && len(d) != 10 {
				t.Errorf("%s: a document is shown as more than its ends", tt.name)
			}
		}
		before := b.marks(office)
		res, err := b.at(office).Pair(t.Context(), clerk(office), desk.PairRequest{RequestID: b.request(), Ref: b.ref(office, id)})
		switch {
		case tt.reason != "":
			refused(t, err, fault.KindConflict, tt.reason, "person_id")
			if diff := cmp.Diff(before, b.marks(office)); diff != "" {
				t.Errorf("%s: something changed:\n%s", tt.name, diff)
			}
			// A person chooses.
			if res, err = b.at(office).Pair(t.Context(), clerk(office), desk.PairRequest{RequestID: b.request(), Ref: b.ref(office, id), Person: ids[0]}); err != nil || res.Person != ids[0] {
				t.Errorf("%s: chosen: %v", tt.name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.certain != !res.Registered || tt.certain && res.Person != ids[0]:
			t.Errorf("%s: registered %v", tt.name, res.Registered)
		}
		if v := b.get(office, id); !v.Paired {
			t.Errorf("%s: not paired", tt.name)
		}
	}
}

// TestCandidatesRefuses: who may see candidates, of which notices.
func TestCandidatesRefuses(t *testing.T) {
	b := newBureau(t, true)
	id, above := b.open(b.notice(1, there)), b.open(b.notice(2, residence))
	gone, taken := b.open(b.notice(3, there)), b.open(b.notice(4, there))
	b.answer(there, gone, desk.AnswerInput{Outcome: cases.Misrouted, Area: beside})
	b.change(here, taken, withdraw)
	for _, tt := range []struct {
		name   string
		p      access.Principal
		id     cases.CaseID
		kind   fault.Kind
		reason string
		field  string
	}{
		{"another township", clerk(beside), id, fault.KindNotFound, "CASE_NOT_FOUND", "case_id"},
		{"the opener", clerk(here), id, fault.KindNotFound, "CASE_NOT_FOUND", "case_id"},
		{"a distributor", harness.Clerk(access.Distributor, residence), above, fault.KindDenied, "NOT_ALLOWED", ""},
		{"an operator", harness.Clerk(access.County, residence), above, fault.KindDenied, "NOT_ALLOWED", ""},
		{"before it is given to a township", clerk(residence), above, fault.KindConflict, "NOT_ASSIGNED", ""},
		{"rerouted", clerk(there), gone, fault.KindConflict, "STATE_FORBIDS", ""},
		{"withdrawn", clerk(there), taken, fault.KindConflict, "STATE_FORBIDS", ""},
		{"none", clerk(there), cases.CaseID{1}, fault.KindNotFound, "CASE_NOT_FOUND", "case_id"},
	} {
		_, err := b.at(there).ListCandidates(t.Context(), tt.p, tt.id, "test")
		t.Run(tt.name, func(t *testing.T) { refused(t, err, tt.kind, tt.reason, tt.field) })
	}
}

// TestCandidatesOfAnotherOffice: a person of the township beside, on the same
// node, is nobody's candidate, and pairs nothing (in the spirit of row 26).
func TestCandidatesOfAnotherOffice(t *testing.T) {
	b := newBureau(t, true)
	b.file(beside, profile(1))
	known, unknown := b.open(b.notice(1, there)), b.open(b.notice(2, there))
	if n := b.turn(there); n != 0 {
		t.Errorf("%d paired", n)
	}
	for _, id := range []cases.CaseID{known, unknown} {
		if got := b.candidates(there, id); len(got) != 0 {
			t.Errorf("%d candidates", len(got))
		}
	}
	both := clerk(there, beside)
	if got, err := b.at(there).ListCandidates(t.Context(), both, known, "test"); err != nil || len(got) != 0 {
		t.Errorf("who works for both sees %d candidates, %v", len(got), err)
	}
	// Registering next door finds no notice of here.
	_, paired := b.file(beside, profile(2))
	if len(paired) != 0 {
		t.Errorf("%d paired", len(paired))
	}
}

// TestCandidatesRestricted: for the machine and for others a restricted person
// is as one who is not here; the keeper decides, and the case is the keepers'.
func TestCandidatesRestricted(t *testing.T) {
	b := newBureau(t, true)
	who, _ := b.file(there, profile(1))
	raw := b.raw(there)
	raw.Rows(t, `UPDATE person SET restricted = true WHERE id = $1 RETURNING 1`, [16]byte(who))
	raw.Rows(t, `INSERT INTO keeper (person, office, account) VALUES ($1, $2, 'keeper-test') RETURNING 1`, [16]byte(who), int64(there))
	keeper := clerk(there)
	keeper.ID = "keeper-test"
	known, unknown := b.open(b.notice(1, there)), b.open(b.notice(2, there))
	if n := b.turn(there) + b.met(there); n != 0 {
		t.Errorf("%d paired", n)
	}
	for _, id := range []cases.CaseID{known, unknown} {
		if got := b.candidates(there, id); len(got) != 0 {
			t.Errorf("%d candidates for others", len(got))
		}
	}
	got, err := b.at(there).ListCandidates(t.Context(), keeper, known, "test")
	if err != nil || len(got) != 1 || got[0].Person != who || !got[0].Certain {
		t.Fatalf("%d candidates for the keeper, %v", len(got), err)
	}
	r, err := b.at(there).Pair(t.Context(), keeper, desk.PairRequest{RequestID: b.request(), Ref: b.ref(there, known)})
	if err != nil || r.Person != who || r.Registered {
		t.Fatalf("registered %v, %v", r.Registered, err)
	}
	_, err = b.at(there).GetCase(t.Context(), clerk(there), desk.GetRequest{Case: known})
	refused(t, err, fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
	v, err := b.at(there).Unpair(t.Context(), keeper, desk.UnpairRequest{RequestID: b.request(), Ref: desk.CaseRef{Case: known, Etag: r.Case.Etag}})
	if err != nil || v.Paired {
		t.Fatal(err)
	}
	if v := b.get(there, known); v.Paired {
		t.Error("unpaired, it is not for all again")
	}
}

// TestPairOpen: the machine pairs those of whom there is no doubt, whether the
// person is there before the notice or after it, and nobody else.
func TestPairOpen(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		before, _ := b.file(there, profile(1))
		b.file(there, profile(4, named("示例乙")))
		first, later, county, doubtful := b.open(b.notice(1, there)), b.open(b.notice(2, there)), b.open(b.notice(3, residence)), b.open(b.notice(4, there))
		bare := b.notice(5, there)
		bare.Fields.Document, bare.Fields.Name = "", "示例辛"
		none := b.open(bare)
		if n := b.turn(there); n != 1 {
			t.Errorf("%d paired", n)
		}
		if v := b.get(there, first); !v.Paired || v.Fields == nil {
			t.Error("a notice of somebody known is not paired")
		}
		raw := b.raw(there)
		if got := raw.Rows(t, `SELECT person FROM case_side WHERE case_id = $1 AND office = $2`, [16]byte(first), int64(there)); cases.PersonID(got[0][0].([16]byte)) != before {
			t.Error("it is paired with another")
		}
		waiting := func() string {
			return fmt.Sprint(raw.Rows(t, `SELECT count(*), count(*) FILTER (WHERE length(ix) = 16), count(*) FILTER (WHERE office = $1) FROM case_lookup`, int64(there))[0]...)
		}
		if got := waiting(); got != "3 1 3" {
			t.Errorf("waiting: %s", got)
		}
		for range 2 { // looking again changes nothing
			marks := b.marks(there)
			if n := b.turn(there); n != 0 {
				t.Errorf("%d paired again", n)
			}
			if diff := cmp.Diff(marks, b.marks(there)); diff != "" {
				t.Fatalf("looking again:\n%s", diff)
			}
		}
		shown := b.get(there, later)
		reg, err := b.site(there).People.RegisterPerson(t.Context(), clerk(there), people.RegisterRequest{RequestID: b.request(), Profile: profile(2)})
		if diff := cmp.Diff([]cases.CaseID{later}, reg.Paired); diff != "" || err != nil {
			t.Errorf("by registering: %v\n%s", err, diff)
		}
		who := reg.File.ID
		v := b.get(there, later)
		if !v.Paired || v.Etag != shown.Etag { // nobody decided it
			t.Errorf("paired %v, etag changed %v", v.Paired, v.Etag != shown.Etag)
		}
		// A namesake born on the same day is shown, but is not near.
		if got := b.candidates(there, later); len(got) != 2 || got[0].Person != who || !got[0].Certain || got[1].Person != before || got[1].Certain {
			t.Errorf("%d candidates", len(got))
		}
		for _, id := range []cases.CaseID{doubtful, none} {
			if b.get(there, id).Paired {
				t.Error("a doubtful notice is paired")
			}
		}
		// What is given to a township is looked at then.
		b.file(there, profile(3))
		r := desk.DistributeRequest{RequestID: b.request(), Refs: []desk.CaseRef{b.ref(residence, county)}, Township: there}
		if got, err := b.at(residence).Distribute(t.Context(), harness.Clerk(access.Distributor, residence), r); err != nil || got[0].Err != nil {
			t.Fatal(err)
		}
		if n := b.turn(there); n != 1 || !b.get(there, county).Paired {
			t.Errorf("%d paired after distribution", n)
		}
		// Answered, withdrawn and rerouted ones wait no more.
		b.answer(there, doubtful, desk.AnswerInput{Outcome: cases.Misrouted, Area: beside})
		b.change(here, none, withdraw)
		b.met(there)
		if got := fmt.Sprint(raw.Rows(t, `SELECT count(*) FROM case_lookup WHERE case_id = $1 OR case_id = $2`, [16]byte(doubtful), [16]byte(none))[0]...); got != "0" {
			t.Errorf("%s of the ended ones wait", got)
		}
		// One event for a transaction, with the count and nobody's id.
		for _, e := range raw.Rows(t, `SELECT n, cardinality(subjects), verb FROM access_log WHERE account = 'job/pair'`) {
			if n := e[0].(int32); n == 0 || e[1].(int32) != 0 || e[2].(string) != string(access.CasePair) {
				t.Errorf("event %v", e)
			}
		}
	})
}

// TestPairOpenAfterCorrection: what the opener corrects is looked at anew.
func TestPairOpenAfterCorrection(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		b.file(there, profile(2))
		id := b.open(b.notice(1, there))
		b.turn(there)
		r := b.notice(2, there)
		if _, _, err := b.at(here).Correct(t.Context(), clerk(here), desk.CorrectRequest{RequestID: b.request(), Ref: b.ref(here, id), Fields: r.Fields}); err != nil {
			t.Fatal(err)
		}
		b.settle()
		if n := b.turn(there); n != 1 || !b.get(there, id).Paired {
			t.Errorf("%d paired", n)
		}
	})
}

// TestPairMet: somebody who came into the ledger by another way than a
// registration pairs a waiting notice as well; where there is doubt, it is not
// looked at for ever.
func TestPairMet(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		plain, doubtful := b.open(b.notice(1, there)), b.open(b.notice(2, there))
		b.turn(there)
		b.consents(there, 1, ledger.PurposeConfirm, here)
		c := b.consent(there, 2, ledger.PurposeConfirm, here)
		c.Person.Name = "示例乙"
		if _, err := b.at(there).RecordConsent(t.Context(), clerk(there), c); err != nil {
			t.Fatal(err)
		}
		if n := b.turn(there); n != 0 {
			t.Errorf("%d paired", n)
		}
		if n := b.met(there); n != 1 || !b.get(there, plain).Paired || b.get(there, doubtful).Paired {
			t.Errorf("%d paired", n)
		}
		raw := b.raw(there)
		events := func() string {
			return fmt.Sprint(raw.Rows(t, `SELECT count(*) FROM access_log WHERE account = 'job/pair'`)[0]...)
		}
		before := events()
		if n := b.met(there); n != 0 || events() != before {
			t.Errorf("%d paired, looked at again: %v", n, events() != before)
		}
	})
}

// TestPairOpenManyAtOnce: two replicas and a clerk pair at the same time; each
// notice is paired once, with its person.
func TestPairOpenManyAtOnce(t *testing.T) {
	b := newBureau(t, true)
	var ids []cases.CaseID
	who := map[cases.CaseID]cases.PersonID{}
	for i := range 120 { // more than one transaction takes
		id := b.open(b.notice(i, there))
		ids = append(ids, id)
		who[id], _ = b.file(there, profile(i))
	}
	refs := make([]desk.CaseRef, len(ids))
	for i, id := range ids {
		refs[i] = b.ref(there, id)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := b.at(there).PairOpen(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		for i, ref := range refs {
			_, err := b.at(there).Pair(t.Context(), clerk(there), desk.PairRequest{RequestID: fmt.Sprintf("clerk-pairs-%d", i), Ref: ref})
			if err != nil { // also where the machine was faster
				t.Error(err)
			}
		}
	})
	wg.Wait()
	rows := b.raw(there).Rows(t, `SELECT case_id, person, rev FROM case_side WHERE office = $1`, int64(there))
	if len(rows) != len(ids) {
		t.Fatalf("%d sides", len(rows))
	}
	for _, r := range rows {
		if p, ok := r[1].([16]byte); !ok || cases.PersonID(p) != who[cases.CaseID(r[0].([16]byte))] {
			t.Error("a notice is not paired with its person")
		}
	}
}

// TestUnpair: a pairing is undone until the answer; the machine leaves it then.
func TestUnpair(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		id := b.open(b.notice(1, there))
		d, p := b.at(there), clerk(there)
		_, err := d.Unpair(t.Context(), p, desk.UnpairRequest{RequestID: b.request(), Ref: b.ref(there, id)})
		refused(t, err, fault.KindConflict, "NOT_PAIRED", "")
		who := b.pair(there, id)
		ref := b.ref(there, id)
		stale := ref
		stale.Etag = "0-0"
		_, err = d.Unpair(t.Context(), p, desk.UnpairRequest{RequestID: b.request(), Ref: stale})
		refused(t, err, fault.KindConflict, "ETAG_STALE", "etag")
		_, err = b.at(here).Unpair(t.Context(), clerk(here), desk.UnpairRequest{RequestID: b.request(), Ref: b.ref(here, id)})
		refused(t, err, fault.KindDenied, "NOT_ITS_SIDE", "")
		r := desk.UnpairRequest{RequestID: b.request(), Ref: ref}
		v, err := d.Unpair(t.Context(), p, r)
		if err != nil || v.Paired || v.Etag == ref.Etag {
			t.Fatalf("unpaired: paired %v, %v", v.Paired, err)
		}
		now := b.get(there, id)
		if now.Paired || now.Fields != nil || now.Etag != v.Etag || now.Subject != "测某（1990年生）" {
			t.Errorf("after it: paired %v, %q", now.Paired, now.Subject)
		}
		if again, err := d.Unpair(t.Context(), p, r); err != nil || again.Etag != v.Etag {
			t.Errorf("the same request again: %v", err)
		}
		if n := b.turn(there); n != 0 || b.get(there, id).Paired {
			t.Error("the machine paired again what a person had undone")
		}
		// The person stays, and is chosen or certain again.
		if got := b.candidates(there, id); len(got) != 1 || got[0].Person != who {
			t.Errorf("%d candidates", len(got))
		}
		if again := b.pair(there, id); again != who {
			t.Error("paired with another")
		}
		b.answer(there, id, desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"})
		_, err = d.Unpair(t.Context(), p, desk.UnpairRequest{RequestID: b.request(), Ref: b.ref(there, id)})
		refused(t, err, fault.KindConflict, "STATE_FORBIDS", "")
	})
}

// TestUnmask: an unpaired notice shows surname, birth year and destination; all
// of it is shown on request, which is logged apart.
func TestUnmask(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		id := b.open(b.notice(1, there))
		raw := b.raw(there)
		last := func() int64 { return raw.Rows(t, `SELECT coalesce(max(id), 0) FROM access_log`)[0][0].(int64) }
		since := last()
		v := b.get(there, id)
		if v.Fields != nil || v.Subject != "测某（1990年生）" || v.Y != there {
			t.Errorf("masked it shows %q of %s", v.Subject, v.Y)
		}
		if got := fmt.Sprint(raw.Rows(t, `SELECT string_agg(verb, ' ') FROM access_log WHERE id > $1`, since)[0]...); got != string(access.CaseRead) {
			t.Errorf("logged as %s", got)
		}
		since = last()
		v, err := b.at(there).GetCase(t.Context(), clerk(there), desk.GetRequest{Case: id, Unmask: true, Purpose: "核对身份"})
		if err != nil || v.Fields == nil || v.Fields.DocumentNumber != person(1) {
			t.Fatalf("unmasked: %v", err)
		}
		rows := raw.Rows(t, `SELECT verb, purpose, subjects, n FROM access_log WHERE id > $1`, since)
		if len(rows) != 1 || rows[0][0] != string(access.CaseUnmask) || rows[0][1] != "核对身份" || rows[0][3] != int32(1) || rows[0][2].([]any)[0].([16]byte) != [16]byte(id) {
			t.Errorf("logged as %v", len(rows))
		}
		since = last()
		county := harness.Clerk(access.Distributor, residence)
		_, err = b.at(there).GetCase(t.Context(), county, desk.GetRequest{Case: id, Unmask: true})
		refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
		if got := fmt.Sprint(raw.Rows(t, `SELECT string_agg(verb || denied, ' ') FROM access_log WHERE id > $1`, since)[0]...); got != string(access.CaseUnmask)+"true" {
			t.Errorf("a denial is logged as %s", got)
		}
	})
}

// TestPairReportsRepeats: more than three notices of one node about one person
// within twelve months are reported when they are paired (SECURITY D2).
func TestPairReportsRepeats(t *testing.T) {
	b := newBureau(t, false)
	for n := 1; n <= 5; n++ {
		r := b.notice(1, there)
		id := b.open(r)
		got, err := b.at(there).Pair(t.Context(), clerk(there), desk.PairRequest{RequestID: b.request(), Ref: b.ref(there, id)})
		if err != nil {
			t.Fatal(err)
		}
		if want := n > 3; (len(got.Warnings) > 0) != want {
			t.Errorf("notice %d: %d warnings", n, len(got.Warnings))
		}
		b.change(here, id, withdraw)
	}
	b.Clock.Add(366 * 24 * time.Hour)
	r := b.notice(1, there)
	r.Fields.EventDay = civil.In(b.Clock.Now())
	id := b.open(r)
	if got, err := b.at(there).Pair(t.Context(), clerk(there), desk.PairRequest{RequestID: b.request(), Ref: b.ref(there, id)}); err != nil || len(got.Warnings) != 0 {
		t.Errorf("a year later: %d warnings, %v", len(got.Warnings), err)
	}
}

// TestPairIn: pairing inside a transaction of the caller's.
func TestPairIn(t *testing.T) {
	b := newBureau(t, false)
	id, ended := b.open(b.notice(1, there)), b.open(b.notice(2, there))
	who, _ := b.file(there, profile(9, named("示例乙")))
	another, _ := b.file(there, profile(8, named("示例丙")))
	b.change(here, ended, withdraw)
	in := func(p access.Principal, id cases.CaseID, who cases.PersonID) error {
		return b.site(there).People.In(t.Context(), p, func(tx *store.Tx) error { return b.at(there).PairIn(t.Context(), tx, p, id, who) })
	}
	refused(t, in(clerk(beside), id, who), fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
	refused(t, in(clerk(there), id, cases.PersonID{9}), fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	refused(t, in(clerk(there), ended, who), fault.KindConflict, "STATE_FORBIDS", "")
	for range 2 {
		if err := in(clerk(there), id, who); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, in(clerk(there), id, another), fault.KindConflict, "PAIRED", "")
	if v := b.get(there, id); !v.Paired {
		t.Error("not paired")
	}
}
