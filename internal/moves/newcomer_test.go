package moves_test

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/moves"
	"yipan/internal/store"
)

// mixed is a batch of all sorts: new people who leave, arrive and die, with a
// village, former names, a second document, without any document, alike to each
// other; the same person twice; somebody known; and movements that are wrong.
func mixed() []moves.Input {
	village := area.MustOf(area.Village, here.Short()+"001")
	asked18 := civil.MustParse("2026-11-18")
	in := func(i int, kind ledger.MovementKind, to area.Key, edits ...func(*moves.Input)) moves.Input {
		m := moves.Input{Kind: kind, Office: here, On: asked18, To: to, Basis: asked, Profile: profile(i, here, here)}
		m.Profile.Name = "测试" + string([]rune("甲乙丙丁戊己庚辛壬癸")[i%10])
		for _, e := range edits {
			e(&m)
		}
		return m
	}
	list := []moves.Input{
		in(1, ledger.Leave, there),
		in(2, ledger.Leave, there, func(m *moves.Input) { m.Basis = desk.BasisInput{} }),
		in(3, ledger.Leave, 0),
		in(4, ledger.Leave, city),
		in(5, ledger.Leave, there, func(m *moves.Input) { m.Objects = true }),
		in(6, ledger.Arrive, village, func(m *moves.Input) { m.From = there; m.Profile = profile(6, there, here) }),
		in(7, ledger.Death, 0),
		in(8, ledger.Transfer, there),
		in(9, ledger.Leave, there, func(m *moves.Input) { m.On = civil.MustParse("1980-01-01") }), // before the birth
		in(10, ledger.Leave, there, func(m *moves.Input) { m.Profile.Documents[0].Number = "520330199001010000" }),
		in(11, ledger.Return, 0, func(m *moves.Input) { m.From = there }),
		in(12, ledger.Leave, there, func(m *moves.Input) { m.Profile.FormerNames = []string{"测试旧"} }),
		in(13, ledger.Leave, there, func(m *moves.Input) {
			m.Profile.Documents = append(m.Profile.Documents, ledger.Document{Kind: ident.KindPassport, Number: "E12345678"})
		}),
		in(14, ledger.Leave, there, func(m *moves.Input) { m.Profile.Documents, m.Profile.Birth, m.Profile.Sex = nil, day("1991-02-03"), 2 }),
		in(15, ledger.Leave, there, func(m *moves.Input) { // who may be the one before
			m.Profile.Documents, m.Profile.Birth, m.Profile.Sex, m.Profile.Name = nil, day("1991-02-03"), 2, "测试戊"
		}),
		in(16, ledger.Leave, there, func(m *moves.Input) { m.CertificateAsked = &asked18 }),
		in(16, ledger.MoveOn, beside), // the same person once more
		in(17, ledger.Leave, there, func(m *moves.Input) { m.Profile.Name = "" }),
		in(18, ledger.Leave, here),      // goes nowhere
		in(0, ledger.Leave, there),      // registered before
		in(19, ledger.Identity, 0),      // of nobody known
		in(20, ledger.Leave, places[0]), // whom nobody serves
		in(21, ledger.MoveOn, beside),   // never came
		in(22, ledger.Leave, there, func(m *moves.Input) { m.Basis = desk.BasisInput{Kind: cases.BasisConsent, Consent: cases.ConsentID{1}} }),
		in(23, ledger.Leave, there, func(m *moves.Input) { m.RequestID = "short" }),
		in(24, ledger.Leave, there, func(m *moves.Input) { m.Office = there }),
		in(25, ledger.Leave, there, func(m *moves.Input) { m.Profile.Living = village }),
		in(26, ledger.Arrive, 0, func(m *moves.Input) { m.Profile = profile(26, places[1], 0) }),
	}
	for i := range list {
		if list[i].RequestID == "" {
			list[i].RequestID = fmt.Sprintf("mixed-%03d", i)
		}
	}
	return list
}

// told is what a batch left, in words without ids, times and ciphertext.
type told struct {
	Results, Files, History, Movements, Sides, Duplicates, Rest []string
}

func (b *bureau) told(rows []moves.Row) (t told) {
	b.Helper()
	site, raw := b.site(here), b.raw(here)
	list := func(sql string) (out []string) {
		for _, r := range raw.Rows(b.TB, sql) {
			out = append(out, r[0].(string))
		}
		return out
	}
	names := map[string]string{}
	for i, r := range rows {
		names[hex.EncodeToString(r.Result.Movement.Person[:])] = fmt.Sprint("person ", i)
		f, _ := fault.As(r.Err)
		s := fmt.Sprintf("%d: stayed %q case %v changes %d warnings %q repeated %v", i, r.Result.Movement.Stayed, !r.Result.Movement.Case.IsZero(), len(r.Result.Cases), r.Result.Warnings, r.Result.Repeated)
		if f != nil {
			s = fmt.Sprintf("%d: %s %s %s", i, f.Kind, f.Reason, f.Field)
		}
		t.Results = append(t.Results, s)
	}
	err := site.DB.InDesk(b.Context(), []area.Key{here}, func(tx *store.Tx) error {
		for i, r := range rows {
			if r.Err != nil {
				continue
			}
			id := r.Result.Movement.Person
			f, key, err := site.People.ProfileOf(b.Context(), tx, id)
			if err != nil {
				return err
			}
			files, err := tx.PersonsByID(b.Context(), []cases.PersonID{id})
			if err != nil {
				return err
			}
			x := &files[0]
			t.Files = append(t.Files, fmt.Sprintf("%d: %+v | %s %s sex %d birth %s kind %d doc %v phone %v at %s %s %s presence %d since %s rev %d profile %d bytes", i, f, x.Name, x.Initials, x.Sex,
				x.Birth, x.DocKind, x.DocIndex != nil, x.PhoneIndex != nil, x.Registered, x.Managed, x.Living, x.Presence, x.Since, x.Rev, len(x.Profile)))
			events, err := tx.PersonEvents(b.Context(), []cases.PersonID{id})
			if err != nil {
				return err
			}
			var lines []string
			for _, e := range events {
				lines = append(lines, fmt.Sprintf("%d: %d on %s by %s, %d bytes", i, e.Kind, e.On, e.Account, len(e.Sealed)))
			}
			slices.Sort(lines) // their times may be one
			t.History = append(t.History, lines...)
			ms, err := tx.MovementsOf(b.Context(), []cases.PersonID{id})
			if err != nil {
				return err
			}
			for _, m := range ms {
				note, err := book.OpenMovement(key, &m)
				if err != nil {
					return err
				}
				t.Movements = append(t.Movements, fmt.Sprintf("%d: %s from %s to %s on %s due %s by %s note %q %q basis %d case %v followed %d", i, m.Kind, m.From, m.To, m.On, m.DueOn, m.Account, note.Stayed, note.Warnings,
					note.BasisKind, !note.Case.IsZero(), len(note.Followed)))
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range list(`SELECT encode(uuid_send(person), 'hex') || ' ' || concat_ws(' ', side, kind, x, y, status, round, todo) FROM case_side WHERE office = ` + fmt.Sprint(int64(here))) {
		t.Sides = append(t.Sides, rename(s, names))
	}
	for _, s := range list(`SELECT encode(uuid_send(a), 'hex') || ' ' || encode(uuid_send(b), 'hex') || ' ' || concat_ws(' ', score, reasons, state) FROM duplicate`) {
		f := strings.Fields(rename(s, names))
		slices.Sort(f)
		t.Duplicates = append(t.Duplicates, strings.Join(f, " "))
	}
	t.Rest = list(`SELECT 'request ' || request_id || ' ' || method || ' ' || (length(result) = 16) FROM request
		UNION ALL SELECT 'certificate ' || asked_on FROM certificate
		UNION ALL SELECT 'former ' || name || ' ' || initials FROM former_name
		UNION ALL SELECT 'lookup ' || use FROM lookup
		UNION ALL SELECT 'item ' || kind FROM item
		UNION ALL SELECT 'shown ' || verb || ' ' || purpose || ' ' || sum(n) FROM access_log GROUP BY verb, purpose`)
	for _, l := range []*[]string{&t.Sides, &t.Duplicates, &t.Rest} {
		slices.SortFunc(*l, cmp.Compare[string])
	}
	return t
}

func rename(s string, names map[string]string) string {
	for id, n := range names {
		s = strings.ReplaceAll(s, id, n)
	}
	return s
}

// TestRegisterManyIsRegister: a batch leaves, and answers, what its movements do
// that are registered one after the other; and so does the batch when sent again.
func TestRegisterManyIsRegister(t *testing.T) {
	var by [2]told
	var again [2]told
	for i, one := range []bool{true, false} {
		b := newBureau(t, false)
		b.move(b.input(here, ledger.Leave, 0, "2026-11-01", 0))
		site := b.site(here)
		send := func() []moves.Row {
			ins := mixed()
			if !one {
				rows, err := site.Moves.RegisterMany(t.Context(), clerk(here), ins)
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			rows := make([]moves.Row, len(ins))
			for k, in := range ins {
				rows[k].Result, rows[k].Err = site.Moves.Register(t.Context(), clerk(here), in)
			}
			return rows
		}
		by[i] = b.told(send())
		again[i] = b.told(send())
		b.settle()
		if bad := b.Conserved(b.Context(), b.Fatalf); len(bad) > 0 {
			t.Error(bad)
		}
	}
	if d := gocmp.Diff(by[0], by[1]); d != "" {
		t.Errorf("one by one (-) and together (+):\n%s", d)
	}
	if d := gocmp.Diff(again[0], again[1]); d != "" {
		t.Errorf("sent again, one by one (-) and together (+):\n%s", d)
	}
	if len(by[1].Duplicates) == 0 || len(by[1].Sides) < 8 {
		t.Errorf("%d proposals, %d notices: the batch shows less than it should", len(by[1].Duplicates), len(by[1].Sides))
	}
}

// Two batches of the same people at once: each is registered once, and leaves
// once.
func TestRegisterManyAtOnce(t *testing.T) {
	b := newBureau(t, true)
	const many, callers = 20, 4
	results := make([][]moves.Row, callers)
	var g errgroup.Group
	for c := range callers {
		ins := make([]moves.Input, many)
		for i := range ins {
			n := (i + 5*c) % many
			ins[i] = moves.Input{RequestID: fmt.Sprintf("at-once-%d-%d", c, n), Office: here, Kind: ledger.Leave, On: day("2026-11-18"), To: there, Basis: asked, Profile: profile(100+n, here, here)}
		}
		g.Go(func() (err error) {
			results[c], err = b.site(here).Moves.RegisterMany(t.Context(), clerk(here), ins)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, rows := range results {
		for i, r := range rows {
			f, _ := fault.As(r.Err)
			switch {
			case r.Err == nil:
				done++
			case f == nil || f.Reason != "ALREADY_AWAY":
				t.Errorf("row %d: %v", i, r.Err)
			}
		}
	}
	for _, table := range []string{"person", "movement"} {
		if n := b.raw(here).Rows(t, "SELECT count(*) FROM "+table)[0][0]; n != int64(many) {
			t.Errorf("%v rows of %s, want %d", n, table, many)
		}
	}
	if done != many {
		t.Errorf("%d movements succeeded, want %d", done, many)
	}
	b.settle()
	if bad := b.Conserved(b.Context(), b.Fatalf); len(bad) > 0 {
		t.Error(bad)
	}
}
