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
INSERT INTO approval (id, office, kind, about, detail, asked_by) SELECT md5('approval' || n)::uuid, 1 + n % 20, 1, md5('person' || n)::uuid, n % 8, 'clerk1' FROM generate_series(1, 20000) n;
INSERT INTO consent (id, office, person, sealed) SELECT md5('consent' || n)::uuid, 1 + n % 20, md5('person' || n)::uuid, '\x00' FROM generate_series(1, 20000) n;
INSERT INTO offer (case_id, office, round, due, item) SELECT md5('case' || n)::uuid, 1 + n % 20, 1, '2026-03-01', CASE WHEN n % 50 > 0 THEN md5('item' || n)::uuid END FROM generate_series(1, 20000) n;
UPDATE person SET sex = 2, birth = '1970-01-01'::date + abs(hashtext(id::text)) % 15000, presence = 1 + abs(hashtext(id::text)) % 5, offered_round = 20262 + abs(hashtext(id::text)) % 2;
INSERT INTO service (person, office, kind, period, closed, sealed) SELECT md5('person' || n)::uuid, 1 + n % 20, 1, 20262 + n % 2, true, '\x00' FROM generate_series(1, 20000) n;
INSERT INTO service_tally (office, kind, period, sealed) SELECT n % 20, n / 20 % 5, n, '\x00' FROM generate_series(1, 4000) n;
INSERT INTO former_name (person, office, name, initials) SELECT md5('person' || n)::uuid, 1 + n % 20, '曾用' || n % 5000, 'cy' FROM generate_series(1, 20000) n;
INSERT INTO lookup (office, use, ix, person, index_key) SELECT 1 + n % 20, 1 + n % 3, decode(md5('lookup' || n), 'hex'), md5('person' || n)::uuid, '\x00' FROM generate_series(1, 20000) n;
INSERT INTO duplicate (a, b, office, score, reasons, state, at) SELECT md5('person' || n)::uuid, md5('person' || n + 20)::uuid, 1 + n % 20, 60, 1, n % 3, '2026-01-01'::timestamptz + n * interval '7 minutes' FROM generate_series(1, 19000) n;
INSERT INTO case_side (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, version) SELECT md5('unpaired' || n)::uuid, 1 + n % 20, 2, 1, 9, 1 + n % 20, 1, 1, 1, now(), now(), 1 FROM generate_series(1, 8000) n;
INSERT INTO case_lookup (case_id, office, ix, index_key, version) SELECT md5('unpaired' || n)::uuid, 1 + n % 20, decode(md5('doc' || n), 'hex'), '\x00', 1 FROM generate_series(1, 7000) n;
INSERT INTO movement (id, office, person, kind, event_on, due_on, account, sealed) SELECT md5('movement' || n)::uuid, 1 + n % 20, md5('person' || n % 8000)::uuid, 1 + n % 4, '2026-01-01'::date + n % 300, '2026-02-01'::date + n % 300, 'clerk1', '\x00' FROM generate_series(1, 20000) n;
UPDATE person SET name = '测试' || substr(md5(id::text), 1, 6), initials = 'cs' || substr(md5(id::text), 1, 2), living = 52033010000005 + 10 * (abs(hashtext(id::text)) % 900), registered = 52033010000005 + 10 * (abs(hashtext(id::text)) % 700),
    last4 = substr(decode(md5(doc_index::text), 'hex'), 1, 2), phone_index = decode(md5('phone' || id::text), 'hex');
INSERT INTO person_event (id, office, person, kind, event_on, account, sealed) SELECT md5('event' || n)::uuid, 1 + n % 20, md5('person' || n)::uuid, 1, '2026-01-01', 'clerk', '\x00' FROM generate_series(1, 20000) n;
INSERT INTO keeper (person, office, account) SELECT md5('person' || n)::uuid, 1 + n % 20, 'clerk' || n % 2 FROM generate_series(1, 4000) n;
INSERT INTO access_log (account, office, verb, subjects, n, at) SELECT 'clerk' || n % 40, 1 + n % 20, 'person.open', ARRAY[md5('person' || n)::uuid], 1, now() - n * interval '1 minute' FROM generate_series(1, 20000) n;
INSERT INTO village SELECT 520330001000005 + n * 10, '村' FROM generate_series(1, 20000) n;
INSERT INTO cube_month SELECT o, 1, 202401 + 100 * (m / 12) + m % 12, 1 + s % 2, k, s, 7 FROM generate_series(1, 20) o, generate_series(0, 23) m, generate_series(1, 5) k, generate_series(1, 11) s;
INSERT INTO cube_day SELECT o, 1, 20000 + d, 1 + s % 2, k, s, 7 FROM generate_series(1, 20) o, generate_series(0, 100) d, generate_series(1, 5) k, generate_series(1, 11) s;
INSERT INTO cube_peer SELECT o, 1, 202401 + 100 * (m / 12) + m % 12, 3 + 10000000 * p, 2, 1, s, 0, 7 FROM generate_series(1, 20) o, generate_series(0, 23) m, generate_series(1, 100) p, generate_series(3, 4) s;
INSERT INTO cube_delta SELECT 1 + n % 20, 1, 1, 1, 3, 3, 20000, 1 FROM generate_series(1, 2000) n;
INSERT INTO made_report SELECT 1 + n % 20, 2, '2026-' || n, 0, 1, '', 1, '\x00', '\x00', now() FROM generate_series(1, 2000) n;
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
		{"lockStandings", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_pkey"},
		{"noticesOpened", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_merged case_side_person"},
		{"lockApprovals", store.App, `ARRAY[md5('approval7')::uuid]`, "approval_pkey"},
		{"approvalsAbout", store.App, `md5('person7')::uuid, 1, 8`, "approval_about"},
		{"movementsOf", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "movement_person"},
		{"movementByID", store.App, `md5('movement7')::uuid`, "movement_pkey"},
		{"lockPersons", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_pkey"},
		{"offersDue", store.App, `8, 20263, '{2}', '1976-11-21', '2011-11-20', 0, '0001-01-01', '00000000-0000-0000-0000-000000000000', 51`, "person_offer_due"},
		{"offersDue", store.App, `8, 20263, '{0,1,2,9}', '1976-11-21', '2011-11-20', 20262, '1990-01-01', md5('person7')::uuid, 51`, "person_offer_due"},
		{"countOffersDue", store.App, `8, 20263, '{2}', '1976-11-21', '2011-11-20', 101`, "person_offer_due"},
		// service_period has the same columns and serves as well.
		{"servicesByKey", store.App, `ARRAY[md5('person7')::uuid], ARRAY[1::smallint], ARRAY[20262]`, "service_p"},
		{"servicesByKey", store.Exchange, `ARRAY[md5('person7')::uuid, md5('person27')::uuid], ARRAY[1, 1]::smallint[], ARRAY[20262, 20263]`, "service_p"},
		{"servicesOf", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "service_pkey"},
		{"servicesOfPeriod", store.App, `8, 1::smallint, 20262, '00000000-0000-0000-0000-000000000000', 500`, "service_period"},
		{"lockTally", store.App, `8, 1::smallint, 20262`, "service_tally_pkey"},
		{"lockFiles", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_pkey"},
		{"rootsOf", store.Exchange, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_pkey"},
		{"mergedInto", store.Exchange, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_merged"},
		{"consentsOfPeople", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "consent_person"},
		{"personsByDoc", store.App, `8, ARRAY[decode(md5('doc7'), 'hex'), decode(md5('doc27'), 'hex')]`, "person_doc"},
		{"likePersons", store.App, `8, ARRAY[decode(md5('doc7'), 'hex'), decode(md5('doc27'), 'hex')], '1990-01-01', ARRAY['测试', '曾用7']`, "person_doc lookup_pkey person_birth former_name_name person_pkey"},
		{"likePersons", store.Exchange, `8, ARRAY[decode(md5('doc7'), 'hex')], '1990-01-01', ARRAY['测试']`, "person_doc lookup_pkey person_birth former_name_name person_pkey"},
		{"awaited", store.App, `8, ARRAY[decode(md5('doc7'), 'hex'), decode(md5('doc27'), 'hex')]`, "case_lookup_ix"},
		{"waitingFor", store.App, `8, md5('person7')::uuid, 50`, "person_pkey lookup_person case_lookup_ix"},
		{"unpairedSides", store.Exchange, `'{8,9,10}', 100, '\x00'`, "case_side_unpaired"},
		{"metSides", store.Exchange, `'{8,9,10}', 100`, "case_lookup_ix person_doc lookup_pkey"},
		{"pairSide", store.App, `md5('unpaired7')::uuid, 8, md5('person7')::uuid`, "case_side_pkey person_pkey"},
		{"foundSide", store.Exchange, `md5('unpaired7')::uuid, 8, md5('person7')::uuid`, "case_side_pkey person_pkey"},
		{"groupOf", store.App, `md5('person7')::uuid`, "person_pkey person_merged"},
		{"keysAndGroups", store.Exchange, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_pkey person_merged"},
		{"duplicateStates", store.App, `md5('person7')::uuid, ARRAY[md5('person27')::uuid]`, "duplicate_"},
		{"listDuplicates", store.App, `'{8,9}', '-infinity', ` + least + `, ` + least + `, 51`, "duplicate_open person_pkey"},
		{"personsByDoc", store.App, `8, ARRAY[decode(md5('doc7'), 'hex'), decode(md5('lookup27'), 'hex')]`, "person_doc lookup_pkey"},
		{"personsByID", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_pkey"},
		{"lockPersonRows", store.App, `ARRAY[md5('person7')::uuid]`, "person_pkey"},
		{"groupsOf", store.App, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_merged"},
		{"searchNames", store.App, `'{8,9}', '测试a', ` + least + `, '测试b', 51`, "person_name former_name_name"},
		{"searchNames", store.App, `'{8}', '测试a1', md5('person7')::uuid, '测试b', 51`, "person_name former_name_name"},
		{"searchInitials", store.App, `'{8,9}', 'cs', ` + least + `, 'ct', 51`, "person_initials former_name_initials"},
		{"searchDocument", store.App, `'{8}', ARRAY[decode(md5('doc7'), 'hex')], ` + least + `, 51`, "person_doc lookup_pkey"},
		{"searchLast4", store.App, `'{8}', ARRAY[decode('0102', 'hex')], ` + least + `, 51`, "person_last4 lookup_pkey"},
		{"searchPhone", store.App, `'{8}', ARRAY[decode(md5('phone7'), 'hex')], ` + least + `, 51`, "person_phone lookup_pkey"},
		{"searchLiving", store.App, `'{8,9}', 52033010000000, ` + least + `, 52033010000999, 51`, "person_living"},
		{"searchRegistered", store.App, `'{8,9}', 52033010000000, ` + least + `, 52033010000999, 51`, "person_registered"},
		{"personEvents", store.App, `ARRAY[md5('person7')::uuid]`, "person_event_person"},
		{"recentAccess", store.App, `'clerk1', '{person.open,person.write}', ''`, "access_log_account"},
		{"hideSides", store.App, `ARRAY[md5('person7')::uuid]`, "case_side_person"},
		{"restrictSides", store.App, `ARRAY[md5('person7')::uuid], true`, "case_side_person"},
		{"documentHolders", store.Exchange, `ARRAY[decode(md5('doc7'), 'hex')]`, "person_doc"},
		{"villagesOf", store.App, `ARRAY[520330001001005, 520330001002005]`, "village_pkey"},
		{"personKeys", store.Exchange, `ARRAY[md5('person7')::uuid, md5('person27')::uuid]`, "person_pkey"},
		{"consentsOfPerson", store.App, `md5('person7')::uuid`, "consent_person"},
		{"offerDrafts", store.Exchange, `'-infinity', '00000000-0000-0000-0000-000000000000', 50`, "offer_draft"},
		{"readRequest", store.App, `'clerk1', '1'`, "request_pkey"},
		{"addUp", store.Exchange, ``, "cube_delta_office"},
		{"cubeMonths", store.Counts, `true, '{1,4}', 2, 1, 202501, 202503, 20000, 20090, 20100, 20097, true`, "cube_month_pkey cube_month_sent cube_day_sent cube_day_waits cube_delta_office case_side_extended side_round_extended"},
		{"cubeDays", store.Counts, `true, '{1,4}', 2, 1, 202501, 202503, 20000, 20010, 20005, 20002, true`, "cube_day_pkey cube_month_sent cube_delta_office"},
		{"cubePeers", store.Counts, `true, '{1,4}', 2, 1, 202501, 202501, 20000, 20030, 20020, 20017, true, 0, 9999999999`, "cube_peer_pkey cube_peer_sent cube_delta_office"},
		{"dueRounds", store.Counts, `'{8}', 1, '2026-02-01', '2026-02-02'`, "case_side_due side_round_due"},
		{"roundsBehind", store.App, `8, 1, '{1}', '{3}', 20000, 20030, 0, 99999999999999, '2026-02-01', '2026-02-02', '-infinity', ` + least + `, 0, 101`, "case_side_due side_round_due"},
		{"roundFacts", store.Counts, `'{8}', 0, '2026-02-01', '2026-02-02'`, "case_side_due side_round_due"},
		{"keptReport", store.Exchange, `8, 1, '2026', 0, 1, ''`, "made_report_pkey"},
		{"movedPersons", store.Exchange, `8, 1, '2026-01-01', '2026-02-01', '2026-12-01'`, "movement_event"},
		{"dueErasures", store.Exchange, `'2026-02-01', 50`, "case_side_erase"},
		{"claim", store.Exchange, `9, 256, 1, false, 3600`, "share_due share_pkey"},
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
			for _, table := range []string{"leg", "item", "cover", "share", "case_side", "side_round", "person", "consent", "offer", "request", "service", "service_tally", "former_name", "lookup", "case_lookup", "duplicate", "movement", "person_event", "keeper", "access_log", "cube_delta", "cube_day", "cube_month", "cube_peer"} {
				if strings.Contains(plan, "Seq Scan on "+table+" ") {
					t.Errorf("%s reads all of %s:\n%s", what, table, plan)
				}
			}
		}
	}
}
