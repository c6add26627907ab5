package store_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// wholeOffice is a scan that only row-level security bounds: of all that the
// offices have.
var wholeOffice = regexp.MustCompile(`Index (?:Only )?Scan (?:using|on) (\w+)[^\n]*\n\s*Index Cond: (?:\(office = ANY \([^\n]*?\)\)|\(\(office = ANY \([^\n]*?\)\) AND \((?:person|case_id|id) [^\n]*)\n`)

// TestSecurity27ExplainEmpty plans every statement of the desk and the exchange
// on an empty database, as a new node does, whose plans are kept while its
// tables grow: none may read all that an office has.
func TestSecurity27ExplainEmpty(t *testing.T) {
	url := storetest.NewURL(t)
	all := statements(t)
	for role, letter := range map[store.Role]string{store.App: "a", store.Exchange: "x"} {
		conn := as(t, url, role)
		run(t, conn, "SET yipan.offices = '{8,9,10}'; SET yipan.account = 'clerk1'; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off")
		for name, sql := range all {
			if !strings.Contains(users[name], letter) || seldom[name] {
				continue
			}
			d, err := conn.Prepare(t.Context(), name, sql)
			if err != nil {
				t.Errorf("%s as %s: %v", name, role, err)
				continue
			}
			nulls := ""
			if n := len(d.ParamOIDs); n > 0 {
				nulls = "(" + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + ")"
			}
			plan := strings.Join(list(t, conn, "EXPLAIN (COSTS OFF) EXECUTE "+pgx.Identifier{name}.Sanitize()+nulls), "\n") + "\n"
			if m := wholeOffice.FindStringSubmatch(plan); m != nil {
				t.Errorf("%s as %s reads all of an office by %s:\n%s", name, role, m[1], plan)
			}
		}
	}
}

// seldom is what reads all of an office by its task, of a rotation, and what
// writes to a few rows now and then: a restriction, an erasure, a merge.
var seldom = map[string]bool{
	"restampWaiting": true, "staleFiles": true, "dropStaleWaiting": true, "indexKeyUse": true,
	"restrictPersons": true, "restrictSides": true, "hideSides": true, "markErased": true, "mergeInto": true,
	"addUp": true, "countDeltas": true, "dropEmptyDays": true, "dropEmptyMonths": true, "dropEmptyPeers": true, "recountSums": true,
	"unknownSides": true, "unknownRounds": true, "standSides": true, "standRounds": true, // of the few that an older program wrote
}
