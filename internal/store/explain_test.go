package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// fill makes 20,000 cases of 20 offices over 100 days, with three items, a
// cover and a share each, one in fifty pending, and as many people.
const fill = `
INSERT INTO leg SELECT md5('case' || n)::uuid, 1 + n % 20, 9 FROM generate_series(1, 20000) n;
INSERT INTO item (id, case_id, kind, author, min_version, recorded_at, head, body)
    SELECT md5('item' || n || '-' || k)::uuid, md5('case' || n)::uuid, k, CASE k WHEN 2 THEN 9 ELSE 1 END, 1, '2026-01-01'::timestamptz + n * interval '7 minutes', '\x00', '\x00'
    FROM generate_series(1, 20000) n, generate_series(1, 3) k;
INSERT INTO cover SELECT id, md5('receipt' || id)::uuid, 10 - author, recorded_at FROM item;
INSERT INTO peer (node) VALUES (9), (8);
INSERT INTO share (peer, item, day, pair, hash, settled, urgent, kind, min_version, recorded_at)
    SELECT 8 + (hashint8(n) & 1), md5('item' || n || '-' || k)::uuid, 20454 + n * 7 / 1440, n % 20, n, n % 50 <> 0, false, k, 1, '2026-01-01'::timestamptz + n * interval '7 minutes'
    FROM generate_series(1, 20000) n, generate_series(1, 3) k ORDER BY n;
INSERT INTO case_side (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, due_at, person, version)
    SELECT md5('case' || n)::uuid, 1 + n % 20, 1, 1, 1 + n % 20, 9, 1 + n % 5, 1, 1, now(), now(), CASE WHEN n % 9 > 0 THEN '2026-01-10'::timestamptz + n * interval '7 minutes' END, md5('person' || n)::uuid, 1
    FROM generate_series(1, 20000) n;
INSERT INTO side_round (case_id, office, round, side, kind, x, y, round_at, due_at) SELECT case_id, office, 0, 1, 1, x, y, round_at, due_at FROM case_side;
INSERT INTO person (id, office, key, name, sex, doc_kind, doc_index) SELECT md5('person' || n)::uuid, 1 + n % 20, '\x00', '测试', 1, 1, decode(md5('doc' || n), 'hex') FROM generate_series(1, 20000) n;
INSERT INTO consent (id, office, person, sealed) SELECT md5('consent' || n)::uuid, 1 + n % 20, md5('person' || n)::uuid, '\x00' FROM generate_series(1, 20000) n;
INSERT INTO offer (case_id, office, round, closed, due, item) SELECT md5('case' || n)::uuid, 1 + n % 20, 1, true, '2026-03-01', CASE WHEN n % 50 > 0 THEN md5('item' || n)::uuid END FROM generate_series(1, 20000) n;
INSERT INTO request (account, request_id, office, method, hash) SELECT 'clerk' || n % 40, n::text, 1 + n % 20, 'm', '\x00' FROM generate_series(1, 20000) n;`

// TestSecurity27Explain plans hot statements over 20,000 cases as the role that runs
// them, for the arguments and for any: each must use its index, and read no
// table of cases from end to end; the first minutes of a node, without
// statistics, are no exception.
func TestSecurity27Explain(t *testing.T) {
	url := storetest.NewURL(t)
	owner := connect(t, url)
	run(t, owner, fill)
	t.Run("without statistics", func(t *testing.T) { explain(t, url, false) })
	run(t, owner, "ANALYZE")
	t.Run("with statistics", func(t *testing.T) { explain(t, url, true) })
}

func explain(t *testing.T, url string, statistics bool) {
	all := statements(t)
	someCases := `ARRAY[md5('case7')::uuid, md5('case27')::uuid, md5('case47')::uuid]`
	// A parcel's, of which the three offices have many.
	parcel := "ARRAY["
	for n := range 255 {
		parcel += fmt.Sprintf("md5('case%d')::uuid, ", 20*n/3+7)
	}
	parcel += "md5('case1')::uuid]"
	someItems := `ARRAY[md5('item50-1')::uuid, md5('item50-2')::uuid, md5('item100-1')::uuid]`
	least, most := `'00000000-0000-0000-0000-000000000000'::uuid`, `'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid`
	page := `, 0, '{}', 0, 0, 0, 0, '2026-02-01', ` + least + `, 0, 'infinity', ` + most + `, 50, false`
	for _, c := range []struct {
		statement string
		role      store.Role
		args      string
		indexes   string
	}{
		{"lockLegs", store.App, someCases, "leg_pkey case_side_pkey"},
		{"lockLegs", store.App, parcel, "leg_pkey case_side_pkey"},
		{"caseItems", store.App, parcel, "item_case cover_pkey case_side_pkey"},
		{"caseItems", store.Exchange, parcel, "item_case cover_pkey"},
		{"sidesOf", store.App, parcel, "case_side_pkey"},
		{"readLegs", store.Exchange, someCases, "leg_pkey"},
		{"caseItems", store.App, someCases, "item_case cover_pkey case_side_pkey"},
		{"caseItems", store.Exchange, someCases, "item_case cover_pkey"},
		{"selectItems", store.App, someItems, "item_pkey case_side_pkey"},
		{"selectItems", store.Exchange, someItems, "item_pkey"},
		{"coversOf", store.App, someItems, "cover_pkey"},
		{"casesOfItems", store.Exchange, someItems, "item_pkey"},
		{"sidesOf", store.App, someCases, "case_side_pkey"},
		{"listSides", store.App, "'{8}'" + page, "case_side_due"},
		{"listSides", store.App, "'{8,9,10}'" + page, "case_side_due"},
		{"casesOfPerson", store.App, `md5('person7')::uuid`, "case_side_person"},
		{"personsByDoc", store.App, `8, ARRAY[decode(md5('doc7'), 'hex'), decode(md5('doc27'), 'hex')]`, "person_doc"},
		{"personKeys", store.Exchange, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_pkey"},
		{"consentsOfPerson", store.App, `md5('person7')::uuid`, "consent_person"},
		{"offerDrafts", store.Exchange, `'-infinity', '00000000-0000-0000-0000-000000000000', 50`, "offer_draft"},
		{"readRequest", store.App, `'clerk1', '1'`, "request_pkey"},
		{"roundFacts", store.Counts, `'{8}', 0, '2026-02-01', '2026-02-02'`, "case_side_due side_round_due"},
		{"dueErasures", store.Exchange, `'2026-02-01', 50`, "case_side_erase"},
		{"claim", store.Exchange, `9, 256, 1, false`, "share_due share_pkey"},
		{"settle", store.Exchange, `9, ` + someItems, "share_pkey"},
		{"unsettle", store.Exchange, `9, ` + someItems, "share_pkey"},
		{"unclaim", store.Exchange, `9, ` + someItems, "share_pkey"},
		{"sharersOf", store.Exchange, `md5('item50-1')::uuid`, "share_pkey"},
		{"pendingPeers", store.Exchange, "", "share_due"},
		{"leastPending", store.Exchange, "9", "share_due"},
		{"feedbackPending", store.Exchange, "9", "share_feedback"},
		{"missingBodies", store.Exchange, "9, 256", "item_missing"},
		{"computeDigests", store.Exchange, `9, 20548, ARRAY[20460]`, "share_day"},
		{"settledIDs", store.Exchange, `9, 20500, 8, ` + least + `, ` + most, "share_day"},
		{"legsAfter", store.Exchange, `md5('case7')::uuid, 100`, "leg_pkey"},
	} {
		if !statistics && c.indexes == "share_day" {
			continue // that a day is a small part of a peer's shares is statistics
		}
		conn := as(t, url, c.role)
		run(t, conn, "SET yipan.offices = '{8,9,10}'")
		if _, err := conn.Prepare(t.Context(), c.statement, all[c.statement]); err != nil {
			t.Errorf("%s: %v", c.statement, err)
			continue
		}
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			run(t, conn, "SET plan_cache_mode = "+mode)
			execute := "EXPLAIN EXECUTE " + pgx.Identifier{c.statement}.Sanitize()
			if c.args != "" {
				execute += "(" + c.args + ")"
			}
			plan := strings.Join(list(t, conn, execute), "\n")
			what := fmt.Sprintf("%s as %s, %s", c.statement, c.role, mode)
			for _, index := range strings.Fields(c.indexes) {
				if !strings.Contains(plan, index) {
					t.Errorf("%s does not use %s:\n%s", what, index, plan)
				}
			}
			if strings.Contains(plan, "hashed SubPlan") {
				t.Errorf("%s reads all cases of the offices:\n%s", what, plan)
			}
			for _, table := range []string{"leg", "item", "cover", "share", "case_side", "side_round", "person", "consent", "offer", "request"} {
				if strings.Contains(plan, "Seq Scan on "+table+" ") {
					t.Errorf("%s reads all of %s:\n%s", what, table, plan)
				}
			}
		}
	}
}
