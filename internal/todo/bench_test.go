package todo_test

import (
	"slices"
	"testing"
	"time"

	"yipan/internal/todo"
)

// BenchmarkTodo lists and counts what waits for an office with 100,000 open
// cases among 1,000,000 in the database. A page is of real cases.
func BenchmarkTodo(b *testing.B) {
	o := newOffice(b)
	for i := range 60 {
		o.open(i, there)
	}
	later := o.Clock.Now().Add(100 * 24 * time.Hour)
	o.raw.Exec(b, fill, "a", int64(there), 2, int64(here), int64(there), 1, later, nil, 60_000)
	o.raw.Exec(b, fill, "b", int64(there), 1, int64(there), int64(here), 2, later, later, 40_000)
	for i, at := range []int64{int64(here), int64(beside), int64(residence), 7, 8, 9} {
		o.raw.Exec(b, fill, "c"+string(rune('a'+i)), at, 2, int64(here), int64(there), 1, later, nil, 150_000)
	}
	o.raw.Exec(b, `UPDATE case_side SET person = gen_random_uuid() WHERE office = $1 AND side = 2 AND due_at > $2::timestamptz AND hashtext(case_id::text) % 2 = 0`, int64(there), later)
	o.raw.Exec(b, "VACUUM ANALYZE")
	p := clerk(there)
	for name, call := range map[string]func() error{
		"list": func() error { _, _, err := o.Todo.List(b.Context(), p, todo.Query{}); return err },
		"reads": func() error {
			_, _, err := o.Todo.List(b.Context(), p, todo.Query{Kinds: []todo.Kind{todo.ReadAnswer}})
			return err
		},
		"count": func() error { _, err := o.Todo.Counts(b.Context(), p, 0); return err },
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				o.must(call())
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
