package store_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// busy makes an office (84, a township) with 60,000 notices to pair or answer,
// one (93, a county) with 10,000 to distribute, and 30,000 others with nothing
// that waits; and a log of 30,000 events.
const busy = `
INSERT INTO case_side (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, due_at, person, version)
    SELECT md5('busy' || n)::uuid, CASE WHEN n % 10 < 6 THEN 84 WHEN n % 10 = 6 THEN 93 ELSE 94 END, 2, 1, 14, 84, CASE WHEN n % 10 > 6 THEN 4 ELSE 1 END, 1, 1, now(), now(),
        '2026-01-10'::timestamptz + n * interval '1 minute', CASE WHEN n % 3 = 0 THEN md5('person' || n)::uuid END, 1
    FROM generate_series(1, 100000) n;
INSERT INTO case_side (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, due_at, answered_at, flags, version)
    SELECT md5('read' || n)::uuid, 84, 1, 1, 84, 14, 2, 0, 1, now(), now(), now(), '2026-01-10'::timestamptz + n * interval '1 minute', n % 3, 1 FROM generate_series(1, 20000) n;
INSERT INTO person (id, office, key, name, sex, doc_kind, doc_index) SELECT md5('person' || n)::uuid, 84, '\x00', '测试', 1, 1, decode(md5('doc' || n), 'hex') FROM generate_series(1, 20000) n;
INSERT INTO duplicate (a, b, office, score, reasons, state) SELECT md5('person' || n)::uuid, md5('person' || n + 1)::uuid, 84, 90, 1, CASE WHEN n % 4 = 0 THEN 2 ELSE 0 END FROM generate_series(1, 19000) n;
INSERT INTO approval (id, office, kind, about, detail, asked_by, used_at) SELECT gen_random_uuid(), 84, 1, md5('person' || n)::uuid, 14, 'clerk' || n % 7, CASE WHEN n % 4 > 0 THEN now() END FROM generate_series(1, 10000) n;
INSERT INTO certificate (id, office, person, asked_on, issued_on) SELECT gen_random_uuid(), 84, md5('person' || n)::uuid, '2023-01-01'::date + n % 900, '2023-01-03'::date + n % 900 FROM generate_series(1, 20000) n;
INSERT INTO bulk (id, office, account, action, sealed) SELECT gen_random_uuid(), 84, 'clerk1', 1, '\x00' FROM generate_series(1, 2000) n;
INSERT INTO keeper (person, office, account) SELECT md5('kept' || n)::uuid, 84, 'clerk1' FROM generate_series(1, 5000) n;
INSERT INTO access_log (account, office, verb, subjects, n) SELECT 'clerk' || n % 40, CASE WHEN n % 3 = 0 THEN 84 ELSE 94 END, 'case.read', ARRAY[md5('person' || n)::uuid], 1 FROM generate_series(1, 30000) n;`

var actual = regexp.MustCompile(`rows=(\d+) loops=(\d+)`)

// TestTodoPlans: an office with a hundred thousand entries is listed and counted
// by a bounded part of its indexes, whatever is planned for.
func TestTodoPlans(t *testing.T) {
	url := storetest.NewURL(t)
	owner := connect(t, url)
	run(t, owner, busy)
	t.Run("without statistics", func(t *testing.T) { todoPlans(t, url) })
	run(t, owner, "ANALYZE")
	t.Run("with statistics", func(t *testing.T) { todoPlans(t, url) })
}

func todoPlans(t *testing.T, url string) {
	all := statements(t)
	zero := `'00000000-0000-0000-0000-000000000000'::uuid`
	part := func(kinds string) string {
		n := len(strings.Split(kinds, ","))
		times := strings.TrimSuffix(strings.Repeat("'-infinity',", n), ",")
		zeros := strings.TrimSuffix(strings.Repeat("0,", n), ",")
		return fmt.Sprintf(`ARRAY[%s]::bigint[], ARRAY[%s]::smallint[], ARRAY[%s]::timestamptz[], ARRAY[%s]::uuid[], ARRAY[%s]::bigint[], 51`,
			strings.TrimSuffix(strings.Repeat("84,", n), ","), kinds, times, strings.TrimSuffix(strings.Repeat(zero+",", n), ","), zeros)
	}
	middle := strings.ReplaceAll(part("2,3"), "'-infinity'", "'2026-02-01'")
	for _, c := range []struct {
		statement string
		args      string
		index     string
		most      int // rows that any node of the plan may give in all
	}{
		{"listTodoSides", part("2,3"), "case_side_todo", 2 * 51},
		{"listTodoSides", middle, "case_side_todo", 2*51 + 2},
		{"listTodoSides", part("5,6,7,11"), "case_side_todo", 4 * 51},
		{"countTodoSides", `ARRAY[84,84,93]::bigint[], ARRAY[2,3,1]::smallint[], '2026-02-01', 1001`, "case_side_todo", 3003},
		{"todoDuplicates", `'{84}', '-infinity', ` + zero + `, ` + zero + `, 51`, "duplicate_open", 60},
		{"countTodoDuplicates", `'{84}', 1001`, "duplicate_open", 1001},
		{"todoApprovals", `'{84}', 'clerk1', '-infinity', ` + zero + `, '-infinity', 51`, "approval_open", 60},
		{"countTodoApprovals", `'{84}', 'clerk1', '-infinity', 1001`, "approval_open", 1001},
		{"todoCertificates", `'{84}', 36, '2023-03-01', '2023-04-05', '2026-02-28', ` + zero + `, '2026-03-01', '2026-03-31', 51`, "certificate_issued", 900},
		{"listAccess", `20001, 1, '{84}', '', false, ` + zero + `, false, '-infinity', 'infinity', 101`, "access_log_pkey", 20_000},
		{"listAccess", `20001, 1, '{84}', 'nobody', true, ` + zero + `, true, '-infinity', 'infinity', 101`, "access_log_", 20_000},
		{"markSeen", zero + `, 84, now(), 1`, "case_side_pkey", 1},
		{"lockBulk", zero, "bulk_pkey", 1},
	} {
		conn := as(t, url, store.App)
		run(t, conn, "SET yipan.offices = '{84,93}'")
		if _, err := conn.Prepare(t.Context(), c.statement, all[c.statement]); err != nil {
			t.Errorf("%s: %v", c.statement, err)
			continue
		}
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			run(t, conn, "SET plan_cache_mode = "+mode)
			run(t, conn, "BEGIN")
			plan := strings.Join(list(t, conn, "EXPLAIN (ANALYZE, TIMING OFF) EXECUTE "+pgx.Identifier{c.statement}.Sanitize()+"("+c.args+")"), "\n")
			run(t, conn, "ROLLBACK")
			if !strings.Contains(plan, c.index) || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "hashed SubPlan") {
				t.Errorf("%s, %s, does not go by %s alone:\n%s", c.statement, mode, c.index, plan)
			}
			for _, m := range actual.FindAllStringSubmatch(plan, -1) {
				rows, _ := strconv.Atoi(m[1])
				loops, _ := strconv.Atoi(m[2])
				if rows*loops > max(c.most, 4) {
					t.Errorf("%s, %s, reads %d rows where %d are enough:\n%s", c.statement, mode, rows*loops, c.most, plan)
					break
				}
			}
		}
	}
}

// TestTodoOfSide: what a side waits for follows from its columns.
func TestTodoOfSide(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	count := store.NewsFlags
	if f := count(200); f != 127<<8 || f < 0 || (&store.Side{Flags: f | 31}).News() != 127 || (&store.Side{Flags: 31}).News() != 0 {
		t.Errorf("flags %b of 200 feedbacks", f)
	}
	for i, c := range []struct {
		name string
		side store.Side
		seen int // hours; 0: never
		read int16
		want int16
		at   time.Time
	}{
		{"a county's", store.Side{Office: area.MustOf(area.County, "520123"), Side: 2, Status: cases.StatusOpen, DueAt: hour(9)}, 0, 0, store.TodoDistribute, hour(9)},
		{"a prefecture's", store.Side{Office: area.MustOf(area.Prefecture, "520100"), Side: 2, Status: cases.StatusOpen}, 0, 0, store.TodoDistribute, time.Time{}},
		{"unpaired", store.Side{Office: east, Side: 2, Status: cases.StatusOpen, DueAt: hour(9)}, 0, 0, store.TodoPair, hour(9)},
		{"paired", store.Side{Office: east, Side: 2, Status: cases.StatusOpen, DueAt: hour(9), Person: personID(1)}, 0, 0, store.TodoAnswer, hour(9)},
		{"open at the opener", store.Side{Office: east, Side: 1, Status: cases.StatusOpen, DueAt: hour(9)}, 0, 0, 0, time.Time{}},
		{"answered by us", store.Side{Office: east, Side: 2, Status: cases.StatusAnswered, AnsweredAt: hour(2)}, 0, 0, 0, time.Time{}},
		{"answered", store.Side{Office: east, Side: 1, Status: cases.StatusAnswered, AnsweredAt: hour(2), DueAt: hour(9)}, 0, 0, store.TodoReadAnswer, hour(2)},
		{"answered and closed", store.Side{Office: east, Side: 1, Status: cases.StatusClosed, AnsweredAt: hour(2)}, 0, 0, store.TodoReadAnswer, hour(2)},
		{"closed unanswered", store.Side{Office: east, Side: 1, Status: cases.StatusClosed}, 0, 0, 0, time.Time{}},
		{"on older fields", store.Side{Office: east, Side: 1, Status: cases.StatusAnswered, AnsweredAt: hour(2), Flags: store.FlagOlderFields | count(1)}, 0, 0, store.TodoCorrection, hour(2)},
		{"seen", store.Side{Office: east, Side: 1, Status: cases.StatusAnswered, AnsweredAt: hour(2), Flags: store.FlagOlderFields}, 2, 0, 0, time.Time{}},
		{"answered later", store.Side{Office: east, Side: 1, Status: cases.StatusAnswered, AnsweredAt: hour(3)}, 2, 0, store.TodoReadAnswer, hour(3)},
		{"feedback", store.Side{Office: east, Side: 1, Status: cases.StatusAnswered, AnsweredAt: hour(2), Flags: count(3)}, 2, 2, store.TodoReadFeedback, hour(2)},
		{"feedback read", store.Side{Office: east, Side: 1, Status: cases.StatusAnswered, AnsweredAt: hour(2), Flags: count(3)}, 2, 3, 0, time.Time{}},
		{"feedback of a withdrawn case", store.Side{Office: east, Side: 1, Status: cases.StatusWithdrawn, Flags: count(3)}, 0, 0, 0, time.Time{}},
		{"feedback to the receiver", store.Side{Office: east, Side: 2, Status: cases.StatusClosed, AnsweredAt: hour(2), Flags: count(1)}, 0, 0, store.TodoReadFeedback, hour(2)},
		{"went on", store.Side{Office: east, Side: 1, Status: cases.StatusRerouted, AnsweredAt: hour(2), Reroute: far, ReroutedAt: hour(2), Hops: 2}, 0, 0, 0, time.Time{}},
		{"the fourth hop", store.Side{Office: east, Side: 1, Status: cases.StatusRerouted, AnsweredAt: hour(2), Reroute: far, ReroutedAt: hour(2), Hops: 3}, 0, 0, store.TodoReroute, hour(2)},
		{"back to us", store.Side{Office: east, Side: 1, Status: cases.StatusRerouted, AnsweredAt: hour(2), Reroute: east.Cut(area.Prefecture), ReroutedAt: hour(3)}, 2, 0, store.TodoReroute, hour(3)},
		{"back to us, seen", store.Side{Office: east, Side: 1, Status: cases.StatusRerouted, AnsweredAt: hour(2), Reroute: east.Cut(area.Prefecture), ReroutedAt: hour(3)}, 3, 0, 0, time.Time{}},
	} {
		s := c.side
		s.Case, s.Kind, s.X, s.Y, s.Round, s.OpenedAt, s.RoundAt, s.Version = caseID(i+1), cases.Outflow, east, west, 1, noon, noon, 1
		var got store.Side
		desk(t, db, []area.Key{s.Office}, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.InsertSides(ctx, []store.Side{s}); err != nil {
				return err
			}
			if c.seen > 0 {
				if err := tx.MarkSeen(ctx, s.Case, s.Office, hour(c.seen), c.read); err != nil {
					return err
				}
			}
			sides, err := tx.SidesOf(ctx, []cases.CaseID{s.Case})
			if err != nil {
				return err
			}
			got = sides[0]
			return nil
		})
		if got.Todo != c.want || !got.TodoAt.Equal(c.at) {
			t.Errorf("%s: waits for %d until %s, want %d until %s", c.name, got.Todo, got.TodoAt, c.want, c.at)
		}
	}
}
