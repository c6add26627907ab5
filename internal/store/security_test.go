package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// populate gives an office one row in every table under row-level security.
func populate(t *testing.T, db *store.DB, n int, office area.Key) {
	t.Helper()
	desk(t, db, []area.Key{office}, func(ctx context.Context, tx *store.Tx) error {
		own := leg(n)
		own.X = office
		paired := side(n, office)
		paired.Person, paired.Standing = personID(n), 3
		_, offerErr := tx.DraftOffers(ctx, []store.Side{paired}, 1, noon)
		_, tallyErr := tx.LockTally(ctx, office, ledger.ThreeChecks, 1, []byte{1})
		_, requestErr := tx.ClaimRequest(ctx, store.Request{Account: fmt.Sprint("clerk-", n), RequestID: "r", Office: office, Method: "Test"})
		return errors.Join(offerErr, tallyErr, requestErr,
			tx.PutServices(ctx, []store.Service{{ServiceKey: store.ServiceKey{Person: personID(n), Kind: ledger.ThreeChecks, Period: 1}, Office: office, Sealed: []byte{1}}}),
			addLegs(ctx, tx, own),
			tx.InsertItems(ctx, []store.StoredItem{item(n, n)}),
			tx.AddShares(ctx, []store.Share{share(n, there)}),
			tx.InsertSides(ctx, []store.Side{paired}),
			tx.PutRounds(ctx, []store.Side{paired}),
			tx.AddPersons(ctx, []store.Person{person(n, office)}),
			tx.AddConsent(ctx, store.ConsentRow{ID: id("consent", n), Office: office, Person: personID(n), Sealed: []byte{1}}),
			tx.PutContact(ctx, store.ContactRow{Person: personID(n), Office: office, Sealed: []byte{1}}),
			tx.SetLookups(ctx, office, personID(n), []store.Lookup{{Use: store.LookupDocument, Index: id("lookup", n), Key: []byte{1}}}),
			tx.SetFormerNames(ctx, office, personID(n), []store.FormerName{{Name: "示例", Initials: "sl"}}),
			tx.AddPersonEvent(ctx, store.PersonEvent{ID: id("event", n), Office: office, Person: personID(n), Kind: ledger.EventRegistered, On: civil.MustParse("2026-03-04"), RecordedAt: noon, Account: "clerk", Sealed: []byte{1}}),
			tx.Restrict(ctx, office, []cases.PersonID{personID(1000 + n)}, []string{"clerk"}),
			tx.AddCertificates(ctx, []store.Certificate{{ID: id("certificate", n), Office: office, Person: personID(n), AskedOn: civil.MustParse("2026-03-04")}}),
			tx.PutWaiting(ctx, []store.Waiting{{Case: caseID(n), Office: office, Index: []byte{byte(n), 1}, IndexKey: []byte{1}}}),
			tx.ProposeDuplicates(ctx, []store.Duplicate{{A: personID(n), B: personID(2000 + n), Office: office, Score: 60}}),
			tx.AskApproval(ctx, store.Approval{ID: id("approval", n), Office: office, Kind: store.ApproveDestination, About: personID(n), Detail: there.Area(), AskedBy: "clerk", AskedAt: noon}),
			tx.AddMovement(ctx, &store.MovementRow{Movement: ledger.Movement{ID: id("movement", n), Office: office, Person: personID(n), Kind: ledger.Leave,
				On: civil.MustParse("2026-03-04"), RecordedAt: noon, Account: "clerk"}, Sealed: []byte{1}}),
			tx.AddBulk(ctx, store.Bulk{ID: id("bulk", n), Office: office, Account: "clerk", Action: 1, At: noon, Sealed: []byte{1}}, noon.AddDate(0, 0, -3)),
			tx.PutReminder(ctx, store.Reminder{Office: office, Email: "office@example.cn", DaysBefore: 3, SetBy: "clerk", SetAt: noon}),
			tx.SetDuty(ctx, office, store.Duty{Day: civil.MustParse("2026-03-04"), Accounts: []string{"clerk"}}),
			tx.AddOutage(ctx, &store.Outage{ID: id("outage", n), Office: office, Area: office, From: noon, To: noon, Reason: "停电", Account: "county", DeclaredAt: noon}),
			tx.LogAccess(ctx, store.Access{Principal: access.Principal{ID: "clerk"}, Office: office, Verb: access.CaseRead, Subjects: [][16]byte{personID(n)}}))
	})
	exchange(t, db, []area.Key{office}, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.AddUp(ctx); err != nil {
			return err
		}
		changed := side(n, office)
		changed.Standing = 4
		return tx.PutSides(ctx, []store.Side{changed})
	})
	exchange(t, db, []area.Key{office}, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ClaimReminder(ctx, office, civil.MustParse("2026-03-04"), store.ByEmail, noon, noon, 1)
		return err
	})
	exchange(t, db, []area.Key{office}, func(ctx context.Context, tx *store.Tx) error {
		const month = 202603
		return errors.Join(
			tx.KeepReport(ctx, &store.MadeReport{Area: office, Kind: 1, Period: "2026-03", Format: 1, Layout: 1, Content: []byte{1}, MadeAt: noon}),
			tx.AddFrozen(ctx, &store.FrozenMonth{Area: office, Month: month, At: noon, FrozenAt: noon, Digest: []byte{1}, Snapshot: []byte{1}, Signature: []byte{1}}),
			tx.AddMonthRounds(ctx, month, []store.RoundsPart{{Office: office, Side: cases.SideOpener, Kind: cases.Outflow, Rounds: []byte{1}}}),
			tx.PutMonthState(ctx, store.MonthState{Area: office, Month: month, CheckedAt: noon}),
			tx.PutMonthPeer(ctx, store.MonthPeer{Area: office, Month: month, Peer: there}),
			tx.AddDifferences(ctx, month, there, []store.MonthDifference{{Office: office, Case: caseID(n), Round: 1, Ours: 1}}),
			tx.PutChildReport(ctx, store.ChildReport{Parent: office, Month: month, Child: there.Area(), Basis: 2, AsOf: noon, HeldAt: noon, Content: []byte{1}}))
	})
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		o := store.Outage{ID: id("outage", n), Office: office}
		return errors.Join(
			tx.InsertCovers(ctx, []store.Cover{{Item: itemID(n), Receipt: itemID(1000 + n), Author: there, HeldAt: noon}}),
			tx.AddReportsIn(ctx, []store.ReportIn{{Item: itemID(2000 + n), Author: there, X: far, Y: office, Form: cases.Snapshot, Period: "2026-03", Signature: []byte{1}, RecordedAt: noon, HeldAt: noon}}),
			tx.SetOffices(ctx, []area.Key{office}),
			tx.MarkPutOff(ctx, &o, []store.RoundRef{{Case: caseID(n), Round: 1}}))
	})
}

// guarded returns the tables under row-level security, and fails where one of
// them has no row, for then its policy would not be asked.
func guarded(t *testing.T, owner *pgx.Conn) []string {
	t.Helper()
	rows, err := owner.Query(t.Context(), `SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables under row-level security: %v, %v", tables, err)
	}
	for _, table := range tables {
		if number(t, owner, "SELECT count(*) FROM "+table) == 0 {
			t.Errorf("no row in %s: populate it", table)
		}
	}
	return tables
}

// openTo says which tables a role reads whole, and why no door reaches them.
var openTo = map[store.Role][]string{
	store.Exchange: {"leg", "item", "cover", "share", "report_in"}, // its affair: pump, absorb, statements
}

func TestSecurity25ReusedConnectionUnsetIsError(t *testing.T) {
	url := storetest.NewURL(t)
	populate(t, storetest.Open(t, url), 1, east)
	owner := connect(t, url)
	asked := 0
	for _, role := range []store.Role{store.App, store.Exchange, store.Counts} {
		conn := as(t, url, role)
		for _, state := range []string{"fresh", "reused"} {
			for _, table := range guarded(t, owner) {
				if slices.Contains(openTo[role], table) || number(t, owner, "SELECT has_any_column_privilege($1, $2, 'SELECT')::int", string(role), table) == 0 {
					continue
				}
				asked++
				if _, err := conn.Exec(t.Context(), "SELECT count(*) FROM "+table); !code(err, "42704", "22P02") {
					t.Errorf("%s connection of %s reads %s: %v", state, role, table, err)
				}
			}
			run(t, conn, "BEGIN; SET LOCAL yipan.offices = '{1}'; SELECT count(*) FROM case_side; COMMIT")
		}
		var kept string
		if err := conn.QueryRow(t.Context(), "SELECT current_setting('yipan.offices')").Scan(&kept); err != nil || kept != "" {
			t.Errorf("after a transaction the setting is %q, %v: this test tests nothing", kept, err)
		}
		for _, insert := range []string{
			"INSERT INTO leg (case_id, x, y) VALUES (gen_random_uuid(), 1, 1)",
			"INSERT INTO case_side (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, version) VALUES (gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1, now(), now(), 1)",
			"INSERT INTO access_log (account, office, verb, subjects, n) VALUES ('a', 1, 'v', '{}', 0)",
		} {
			table := strings.Fields(insert)[2]
			if role == store.Exchange && table != "case_side" || role == store.Counts {
				continue
			}
			if _, err := conn.Exec(t.Context(), insert); !code(err, "22P02") {
				t.Errorf("%s wrote %s without offices: %v", role, table, err)
			}
		}
	}
	if asked < 30 {
		t.Errorf("only %d questions asked", asked)
	}
}

func code(err error, codes ...string) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains(codes, pe.Code)
}

// What the desk does in an office is the same whether another office has the
// same person and case or not: results, errors and what is seen afterwards.
func TestSecurity26SameIDInTwoOffices(t *testing.T) {
	type seen struct {
		Errors  []string
		Found   int
		Sides   int
		Result  string
		Counted int64
	}
	observe := func(db *store.DB) (s seen) {
		offices := []area.Key{west}
		doc := person(1, west)
		doc.ID = personID(2)
		for range 2 { // the second time its own rows stand in the way
			for _, step := range []func(*store.Tx) error{
				func(tx *store.Tx) error { return tx.AddPersons(t.Context(), []store.Person{doc}) },
				func(tx *store.Tx) error { return addLegs(t.Context(), tx, leg(1)) },
				func(tx *store.Tx) error { return tx.InsertSides(t.Context(), []store.Side{side(1, west)}) },
				func(tx *store.Tx) error { return tx.PutSides(t.Context(), []store.Side{side(1, west)}) },
				func(tx *store.Tx) error { return tx.PutRounds(t.Context(), []store.Side{side(1, west)}) },
				func(tx *store.Tx) error {
					return tx.PutServices(t.Context(), []store.Service{{ServiceKey: store.ServiceKey{Person: personID(2), Kind: ledger.ThreeChecks, Period: 1}, Office: west, Sealed: []byte{1}}})
				},
				func(tx *store.Tx) error {
					return tx.AddCertificates(t.Context(), []store.Certificate{{ID: id("other", 1), Office: west, Person: personID(1), AskedOn: civil.MustParse("2026-03-04")}})
				},
				func(tx *store.Tx) error {
					r, err := tx.ClaimRequest(t.Context(), store.Request{Account: "clerk-of-west", RequestID: "r", Office: west, Method: "Test"})
					s.Result += fmt.Sprintf("%q", r)
					return err
				},
				func(tx *store.Tx) error {
					ids, err := tx.PersonIDs(t.Context(), west, [][]byte{doc.DocIndex})
					s.Found += len(ids)
					if err != nil {
						return err
					}
					east, err := tx.PersonIDs(t.Context(), east, [][]byte{doc.DocIndex})
					s.Found += 100 * len(east)
					if err != nil {
						return err
					}
					sides, err := tx.SidesOf(t.Context(), []cases.CaseID{caseID(1)})
					s.Sides += len(sides)
					return err
				},
				func(tx *store.Tx) error {
					n, _, err := tx.CountAccess(t.Context(), "clerk", access.CaseRead)
					s.Counted += n
					return err
				},
				func(tx *store.Tx) error { return tx.ErasePerson(t.Context(), personID(1)) },
				func(tx *store.Tx) error {
					return tx.TouchSides(t.Context(), []store.Side{{Case: caseID(1), Office: east, Person: personID(2), Private: []byte("x")}})
				},
			} {
				s.Errors = append(s.Errors, fmt.Sprint(db.InDesk(t.Context(), offices, step)))
			}
		}
		return s
	}
	urls := []string{storetest.NewURL(t), storetest.NewURL(t)}
	alone, beside := storetest.Open(t, urls[0]), storetest.Open(t, urls[1])
	populate(t, beside, 1, east)
	before := connect(t, urls[1])
	hash := func() int64 {
		return number(t, before, `SELECT hashtextextended(string_agg(r, ' ' ORDER BY r), 0) FROM (
			SELECT p::text r FROM person p WHERE office = $1 UNION ALL SELECT s::text FROM case_side s WHERE office = $1) u`, int64(east))
	}
	was := hash()
	if d := cmp.Diff(observe(alone), observe(beside)); d != "" {
		t.Errorf("another office's rows are seen: %s", d)
	}
	if hash() != was {
		t.Error("another office's rows were changed")
	}
}

// Everything that a constraint can quote is recognisable here, and nothing of
// it is in an error or in the server's log.
func TestSecurity28ConstraintErrorsHoldNoPersonalData(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	const name, number = "测试甲乙丙", "SYNTHETIC-522101199003074518"
	marked := func(n int) store.Person {
		p := person(n, east)
		p.Name, p.Doc, p.DocIndex, p.Phone = name, []byte(number), []byte(number), []byte(number)
		return p
	}
	add := func(p store.Person) func(*store.Tx) error {
		return func(tx *store.Tx) error { return tx.AddPersons(t.Context(), []store.Person{p}) }
	}
	if err := db.InDesk(t.Context(), []area.Key{east}, add(marked(1))); err != nil {
		t.Fatal(err)
	}
	sameID, zero, broken, foreign, long := marked(1), marked(2), marked(3), marked(4), marked(5)
	sameID.DocIndex = []byte(number + "2")
	zero.Name, broken.Name, foreign.Office = name+"\x00", name+"\xff", far
	long.DocIndex = []byte(strings.Repeat(number, 1000)) // over the size of an index row
	long.DocIndex = append(long.DocIndex, randomBytes(20000)...)
	raw := func(sql string, args ...any) func(*store.Tx) error {
		return func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), sql, args...); return err }
	}
	for what, c := range map[string]struct {
		kind fault.Kind
		fn   func(*store.Tx) error
	}{
		"duplicate key":    {fault.KindConflict, add(sameID)},
		"zero byte":        {fault.KindInvalid, add(zero)},
		"broken UTF-8":     {fault.KindInvalid, add(broken)},
		"another's office": {fault.KindDenied, add(foreign)},
		"index row":        {fault.KindInternal, add(long)},
		"null":             {fault.KindInvalid, raw(`UPDATE person SET sex = NULL WHERE name = $1`, name)},
		"date":             {fault.KindInvalid, raw(`SELECT $1::text::date`, name)},
		"cast in a column": {fault.KindInvalid, raw(`SELECT name::int FROM person`)},
		"not a uuid":       {fault.KindInvalid, raw(`SELECT ('` + number + `')::uuid`)},
		"syntax":           {fault.KindInternal, raw(`SELECT '` + name + `' FROM FROM`)},
		"no such table":    {fault.KindInternal, raw(`SELECT '` + name + `' FROM "` + number + `"`)},
		"wrapped": {fault.KindConflict, func(tx *store.Tx) error {
			if err := add(sameID)(tx); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), `SELECT 1`) // sends what was queued
			return fmt.Errorf("add person: %w", err)
		}},
		"a cause": {fault.KindInvalid, func(tx *store.Tx) error {
			return fault.Invalid("TEST", "add person").Because(raw(`SELECT $1::text::date`, name)(tx))
		}},
	} {
		t.Run(what, func(t *testing.T) {
			err := db.InDesk(t.Context(), []area.Key{east}, c.fn)
			if err == nil || fault.Of(err) != c.kind {
				t.Errorf("got %v, want one of kind %v", err, c.kind)
			}
			for _, text := range texts(err) {
				if strings.Contains(text, name) || strings.Contains(text, "SYNTHETIC") || strings.Contains(text, "522101") {
					t.Errorf("the error quotes a value, in %d bytes", len(text))
				}
			}
			if _, ok := errors.AsType[*pgconn.PgError](err); ok {
				t.Error("the driver's error left the store")
			}
		})
	}
	if storetest.LogFile(t) == "" {
		return // an existing server's log is its administrator's
	}
	log, err := os.ReadFile(storetest.LogFile(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "ready to accept connections") {
		t.Fatal("this is not the server's log")
	}
	for _, value := range []string{name, "SYNTHETIC", "522101"} {
		if strings.Contains(string(log), value) {
			t.Error("the server's log quotes a value")
		}
	}
}

func randomBytes(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		h := id("random", i)
		b = append(b, h[:]...)
	}
	return b
}

// texts returns all that can be printed of an error and of its causes.
func texts(err error) []string {
	if err == nil {
		return nil
	}
	out := []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)}
	switch u := any(err).(type) {
	case interface{ Unwrap() error }:
		out = append(out, texts(u.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			out = append(out, texts(e)...)
		}
	}
	return out
}
