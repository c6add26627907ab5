package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func list(t *testing.T, conn *pgx.Conn, sql string, args ...any) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSecurityRuntimeRolesOwnNothing(t *testing.T) {
	conn := connect(t, storetest.NewURL(t))
	if got := list(t, conn, `SELECT rolname FROM pg_roles WHERE rolname LIKE 'yipan\_%' AND rolname NOT LIKE 'yipan\_test%'
		AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolinherit OR rolreplication) ORDER BY 1`); !slices.Equal(got, []string{"yipan_app", "yipan_counts", "yipan_exchange"}) {
		t.Errorf("roles without rights: %v", got)
	}
	if got := list(t, conn, `SELECT relname::text FROM pg_class WHERE pg_get_userbyid(relowner) IN ('yipan_app', 'yipan_exchange', 'yipan_counts')
		UNION ALL SELECT proname::text FROM pg_proc WHERE pg_get_userbyid(proowner) IN ('yipan_app', 'yipan_exchange', 'yipan_counts')`); len(got) != 0 {
		t.Errorf("they own %v", got)
	}
	if got := list(t, conn, `SELECT r || ' ' || p FROM unnest(ARRAY['yipan_app', 'yipan_exchange', 'yipan_counts']) r, unnest(ARRAY['CREATE']) p WHERE has_schema_privilege(r, 'public', p)`); len(got) != 0 {
		t.Errorf("they may make tables: %v", got)
	}
	if got := list(t, conn, `SELECT a.rolname || ' is ' || b.rolname FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member JOIN pg_roles b ON b.oid = m.roleid
		WHERE a.rolname IN ('yipan_app', 'yipan_exchange', 'yipan_counts')`); len(got) != 0 {
		t.Errorf("they are members: %v", got)
	}
	if got := list(t, conn, `SELECT relname || ' ' || p FROM pg_class, unnest(ARRAY['DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'UPDATE']) p
		WHERE relname IN ('access_log', 'directory_record', 'quarantine', 'cover', 'tombstone') AND relkind = 'r'
		AND (has_table_privilege('yipan_app', oid, p) OR has_table_privilege('yipan_exchange', oid, p))`); len(got) != 0 {
		t.Errorf("what is insert-only is not: %v", got)
	}
}

func TestSecurityForcedWhereverSomebodyIsNamed(t *testing.T) {
	conn := connect(t, storetest.NewURL(t))
	tables := list(t, conn, `SELECT DISTINCT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname IN ('office', 'person', 'subjects', 'case_id', 'body') ORDER BY 1`)
	if len(tables) < 10 {
		t.Fatalf("only %v", tables)
	}
	for _, table := range append(tables, "person", "cover", "share") {
		if number(t, conn, `SELECT (relrowsecurity AND relforcerowsecurity)::int FROM pg_class WHERE oid = $1::text::regclass`, table) == 0 {
			t.Errorf("row-level security is not forced on %s", table)
		}
		if number(t, conn, `SELECT count(*) FROM pg_policy WHERE polrelid = $1::text::regclass`, table) == 0 {
			t.Errorf("%s has no policy", table)
		}
		if got := list(t, conn, `SELECT polname::text FROM pg_policy WHERE polrelid = $1::text::regclass AND 0 = ANY(polroles)`, table); len(got) != 0 {
			t.Errorf("%s has policies for everybody: %v", table, got)
		}
	}
}

func TestSecurityCountsSeesNoPerson(t *testing.T) {
	url := storetest.NewURL(t)
	conn := connect(t, url)
	got := list(t, conn, `SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND has_column_privilege('yipan_counts', c.oid, a.attnum, 'SELECT') ORDER BY 1`)
	var want []string
	for table, columns := range map[string]string{
		"case_side": "case_id office side kind x y status waiting round opened_at round_at delivered_at due_at answered_at answer_held " +
			"withdrawn_at closed_at reroute rerouted_at assigned assigned_at standing standing_day extended",
		"side_round": "case_id office round side kind x y round_at delivered_at due_at answered_at withdrawn_at closed_at reroute rerouted_at " +
			"answer_held standing standing_day extended",
		"cube_delta":   "office book side kind peer standing day n",
		"cube_day":     "office book day side kind standing n",
		"cube_month":   "office book month side kind standing n",
		"cube_peer":    "office book month peer side kind standing day n",
		"certificate":  "id office asked_on issued_on",
		"month_frozen": "office month revision at frozen_at digest snapshot key_id signature",
		"month_state":  "office month sums checked_at waiting sent sent_at",
		"report_child": "office month child basis revision as_of held_at content",
	} {
		for _, c := range strings.Fields(columns) {
			want = append(want, table+"."+c)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("columns: %s", d)
	}
	for _, p := range []string{"INSERT", "UPDATE", "DELETE"} {
		if got := list(t, conn, `SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND has_table_privilege('yipan_counts', oid, $1)`, p); len(got) != 0 {
			t.Errorf("counts may %s %v", p, got)
		}
	}
	counts := as(t, url, store.Counts)
	run(t, counts, "SET yipan.offices = '{1}'")
	for _, sql := range []string{"SELECT person FROM case_side", "SELECT private FROM case_side", "SELECT * FROM case_side", "SELECT name FROM person", "SELECT person FROM certificate", "SELECT 1 FROM access_log"} {
		if _, err := counts.Exec(t.Context(), sql); !code(err, "42501") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestSecurityDeskSeesItsOfficesOnly(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	populate(t, db, 1, east)
	populate(t, db, 2, west)
	owner, app := connect(t, url), as(t, url, store.App)
	for _, table := range guarded(t, owner) {
		if number(t, owner, "SELECT has_table_privilege('yipan_app', $1, 'SELECT')::int", table) == 0 {
			if !slices.Contains([]string{"share", "outage_round", "report_in", "made_report"}, table) && !strings.HasPrefix(table, "cube_") {
				t.Errorf("the desk cannot read %s", table)
			}
			continue
		}
		for offices, want := range map[string]int64{"{}": 0, "{7}": 0, fmt.Sprintf("{%d}", west): 1, fmt.Sprintf("{%d,%d}", east, west): 2} {
			run(t, app, "BEGIN; SET LOCAL yipan.offices = '"+offices+"'")
			if n := number(t, app, "SELECT count(*) FROM "+table); n != want {
				t.Errorf("offices %s see %d rows of %s, want %d", offices, n, table, want)
			}
			run(t, app, "ROLLBACK")
		}
	}
	if _, err := app.Exec(t.Context(), "SELECT 1 FROM share"); !code(err, "42501") {
		t.Errorf("the desk reads shares: %v", err)
	}
	desk(t, db, []area.Key{west}, func(ctx context.Context, tx *store.Tx) error {
		legs, err := tx.LockLegs(ctx, []cases.CaseID{caseID(1), caseID(2)})
		if len(legs) != 1 {
			t.Errorf("locked %d legs", len(legs))
		}
		items, err2 := tx.CaseItems(ctx, []cases.CaseID{caseID(1), caseID(2)})
		if len(items) != 1 || len(items[caseID(2)]) != 1 || items[caseID(2)][0].Held.IsZero() {
			t.Errorf("items %v", items)
		}
		// Writes to another office's rows find none.
		return errors.Join(err, err2,
			tx.EraseBodies(ctx, itemIDs(1), [][]byte{{1}}), tx.EraseLegs(ctx, []cases.CaseID{caseID(1)}), tx.ErasePerson(ctx, personID(1)),
			tx.TouchSides(ctx, []store.Side{{Case: caseID(1), Office: east, Person: personID(9)}}), tx.MarkErased(ctx, []cases.CaseID{caseID(1)}, noon),
			tx.DropOtherReceivers(ctx, caseID(1), west), tx.PutConsent(ctx, id("consent", 1), []byte("x")),
			tx.FinishRequest(ctx, "clerk-1", "r", []byte("x")))
	})
	if n := number(t, owner, `SELECT count(*) FROM item i JOIN leg l USING (case_id) JOIN case_side s USING (case_id) JOIN person p ON p.id = s.person JOIN consent c ON c.person = p.id
		WHERE i.body IS NOT NULL AND NOT i.erased AND l.body_key IS NOT NULL AND p.key IS NOT NULL AND s.rev = 0 AND c.sealed <> 'x'`); n != 2 {
		t.Errorf("%d cases are untouched, want 2", n)
	}
	if n := number(t, owner, "SELECT count(*) FROM request WHERE result IS NOT NULL"); n != 0 {
		t.Error("another office's request was finished")
	}
	for what, fn := range map[string]func(*store.Tx) error{
		"person":      func(tx *store.Tx) error { return tx.AddPersons(t.Context(), []store.Person{person(5, east)}) },
		"side":        func(tx *store.Tx) error { return tx.PutSides(t.Context(), []store.Side{side(5, east)}) },
		"their side":  func(tx *store.Tx) error { return tx.PutSides(t.Context(), []store.Side{side(1, east)}) },
		"round":       func(tx *store.Tx) error { return tx.PutRounds(t.Context(), []store.Side{side(5, east)}) },
		"their round": func(tx *store.Tx) error { return tx.PutRounds(t.Context(), []store.Side{side(1, east)}) },
		"consent": func(tx *store.Tx) error {
			return tx.AddConsent(t.Context(), store.ConsentRow{Office: east, Sealed: []byte{1}})
		},
		"offer": func(tx *store.Tx) error {
			_, err := tx.DraftOffers(t.Context(), []store.Side{{Office: east}}, 1, noon)
			return err
		},
		"service": func(tx *store.Tx) error {
			return tx.PutServices(t.Context(), []store.Service{{Office: east, Sealed: []byte{1}}})
		},
		"request": func(tx *store.Tx) error {
			_, err := tx.ClaimRequest(t.Context(), store.Request{Account: "a", RequestID: "x", Office: east})
			return err
		},
		"cover": func(tx *store.Tx) error { return tx.InsertCovers(t.Context(), []store.Cover{{HeldAt: noon}}) },
	} {
		if err := db.InDesk(t.Context(), []area.Key{west}, fn); !fault.Is(err, fault.KindDenied) {
			t.Errorf("wrote another office's %s: %v", what, err)
		}
	}
}

func TestSecurityExchangeLimitedByOffices(t *testing.T) {
	db := storetest.New(t)
	populate(t, db, 1, east)
	populate(t, db, 2, west)
	ids := []cases.CaseID{caseID(1), caseID(2)}
	for want, offices := range [][]area.Key{nil, {west}, {east, west}} {
		exchange(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
			sides, err := tx.SidesOf(ctx, ids)
			keys, err2 := tx.PersonKeys(ctx, []cases.PersonID{personID(1), personID(2)})
			legs, err3 := tx.ReadLegs(ctx, ids)
			if len(sides) != want || len(keys) != want || len(legs) != 2 {
				t.Errorf("offices %v see %d sides, %d keys, %d legs", offices, len(sides), len(keys), len(legs))
			}
			return errors.Join(err, err2, err3)
		})
	}
	err := db.InExchange(t.Context(), []area.Key{west}, func(tx *store.Tx) error { return tx.PutSides(t.Context(), []store.Side{side(3, east)}) })
	if !fault.Is(err, fault.KindDenied) {
		t.Errorf("wrote a side outside the parcel's offices: %v", err)
	}
	// It widens itself, knowingly, to write the other side of a case here.
	exchange(t, db, []area.Key{west}, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetOffices(ctx, []area.Key{west, east}); err != nil {
			return err
		}
		return tx.PutSides(ctx, []store.Side{side(3, east)})
	})
}
