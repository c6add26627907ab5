package todo_test

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/store"
	"yipan/internal/todo"
)

func (o *office) preview(p access.Principal, a todo.Action, ids ...cases.CaseID) todo.Plan {
	o.Helper()
	plan, err := o.Todo.Preview(o.Context(), p, todo.PreviewRequest{Action: a, Cases: ids, Purpose: "test"})
	o.must(err)
	return plan
}

// left returns why a plan leaves each case out.
func left(plan todo.Plan) map[cases.CaseID]string {
	out := map[cases.CaseID]string{}
	for _, c := range plan.Changes {
		out[c.Case] = c.LeftOut
		if (c.LeftOut == "") == (c.Change == "") {
			out[c.Case] = "neither or both: " + c.Change + c.LeftOut
		}
	}
	return out
}

func reasons(done []todo.Done) map[cases.CaseID]string {
	out := map[cases.CaseID]string{}
	for _, d := range done {
		out[d.Case] = d.Reason
		if (d.Reason == "") != (d.Message == "") || (d.Reason == "") != (d.Etag != "") {
			out[d.Case] += " without message, or with an etag"
		}
	}
	return out
}

func TestBulkAcknowledge(t *testing.T) {
	o := newOffice(t)
	p := clerk(here)
	var ids []cases.CaseID
	for i := range 4 {
		ids = append(ids, o.open(i, there))
	}
	for _, id := range ids[:3] {
		o.answer(there, id, silent)
	}
	before := o.waits(p, wants(todo.ReadAnswer, ids[:3]...)...)
	plan := o.preview(p, todo.Acknowledge)
	if diff := cmp.Diff(map[cases.CaseID]string{ids[0]: "", ids[1]: "", ids[2]: ""}, left(plan)); diff != "" {
		t.Fatal(diff)
	}
	for _, c := range plan.Changes {
		if i := slices.IndexFunc(before, func(e todo.Entry) bool { return e.Case == c.Case }); c.Subject != before[i].Subject || c.Etag != before[i].Etag {
			t.Errorf("planned %+v", c)
		}
	}
	named := left(o.preview(p, todo.Acknowledge, ids[3], ids[0], cases.CaseID{9}))
	want := map[cases.CaseID]string{ids[0]: "", ids[3]: "没有待阅的答复或反馈", {9}: "没有找到该案件，或您无权查看"}
	if diff := cmp.Diff(want, named); diff != "" {
		t.Error(diff)
	}
	o.waits(p, wants(todo.ReadAnswer, ids[:3]...)...) // a preview changes nothing

	// Changed since: that one alone is refused.
	o.feedback(ids[1], 20263)
	request := o.request()
	action, done, err := o.Todo.Apply(t.Context(), p, request, plan.Token)
	o.must(err)
	after := map[cases.CaseID]string{ids[0]: "", ids[1]: "ETAG_STALE", ids[2]: ""}
	if diff := cmp.Diff(after, reasons(done)); diff != "" {
		t.Error(diff)
	}
	o.waits(p, mark(todo.ReadAnswer, ids[1]))
	again, repeated, err := o.Todo.Apply(t.Context(), p, request, plan.Token)
	if err != nil || again != action || cmp.Diff(done, repeated) != "" {
		t.Errorf("the same request again: %+v, %v", repeated, err)
	}
	_, _, err = o.Todo.Apply(t.Context(), p, o.request(), plan.Token)
	refused(t, err, fault.KindConflict, "PLAN_USED", "plan_token")

	// Undone where nothing has gone on since.
	o.feedback(ids[2], 20263)
	undo := o.request()
	undone, err := o.Todo.Undo(t.Context(), p, undo, action)
	o.must(err)
	if diff := cmp.Diff(map[cases.CaseID]string{ids[0]: "", ids[2]: "ETAG_STALE"}, reasons(undone)); diff != "" {
		t.Error(diff)
	}
	list := o.list(p)
	if len(list) != 3 || !slices.ContainsFunc(list, func(e todo.Entry) bool { return e.Case == ids[0] && e.Kind == todo.ReadAnswer }) ||
		!slices.ContainsFunc(list, func(e todo.Entry) bool { return e.Case == ids[2] && e.Kind == todo.ReadFeedback }) {
		t.Errorf("after undoing: %+v", list)
	}
	repeatedUndo, err := o.Todo.Undo(t.Context(), p, undo, action)
	if err != nil || cmp.Diff(undone, repeatedUndo) != "" {
		t.Errorf("undone again: %+v, %v", repeatedUndo, err)
	}
	_, err = o.Todo.Undo(t.Context(), p, o.request(), action)
	refused(t, err, fault.KindConflict, "UNDONE", "action_id")
}

func wants(k todo.Kind, ids ...cases.CaseID) (out []string) {
	for _, id := range ids {
		out = append(out, mark(k, id))
	}
	return out
}

func TestBulkPair(t *testing.T) {
	o := newOffice(t)
	p := clerk(there)
	sure, other, unknown, given := o.open(1, there), o.open(2, there), o.open(3, there), o.open(4, residence)
	who := o.register(there, 1, name(1))
	o.register(there, 2, "试验壬")
	plan := o.preview(p, todo.PairCertain)
	if diff := cmp.Diff(map[cases.CaseID]string{sure: "", other: "证件号码相同但姓名不一致，请逐件核对", unknown: "本地台帐中没有此证件的人员，请逐件办理"}, left(plan)); diff != "" {
		t.Fatal(diff)
	}
	if named := left(o.preview(p, todo.PairCertain, given)); named[given] != "没有找到该案件，或您无权查看" {
		t.Errorf("a case of the county: %v", named)
	}
	action, done, err := o.Todo.Apply(t.Context(), p, o.request(), plan.Token)
	o.must(err)
	if diff := cmp.Diff(map[cases.CaseID]string{sure: ""}, reasons(done)); diff != "" {
		t.Error(diff)
	}
	if s := o.sides(sure); !slices.ContainsFunc(s, func(s store.Side) bool { return s.Office == there && s.Person == who }) {
		t.Error("not paired with the person of the plan")
	}
	undone, err := o.Todo.Undo(t.Context(), p, o.request(), action)
	o.must(err)
	if diff := cmp.Diff(map[cases.CaseID]string{sure: ""}, reasons(undone)); diff != "" {
		t.Error(diff)
	}
	if list := o.list(p, todo.Pair); len(list) != 3 {
		t.Errorf("%d to pair after undoing", len(list))
	}

	// One that was answered meanwhile stays paired.
	plan = o.preview(p, todo.PairCertain, sure)
	action, _, err = o.Todo.Apply(t.Context(), p, o.request(), plan.Token)
	o.must(err)
	o.answer(there, sure, silent)
	undone, err = o.Todo.Undo(t.Context(), p, o.request(), action)
	o.must(err)
	if len(undone) != 1 || undone[0].Reason == "" {
		t.Errorf("undone %+v", undone)
	}
}

func TestBulkDistribute(t *testing.T) {
	o := newOffice(t)
	p := distributor()
	ids := []cases.CaseID{o.open(1, residence), o.open(2, residence), o.open(3, residence), o.open(4, residence)}
	o.places(ids[0], 1, there)
	o.places(ids[1], 2, area.MustOf(area.Village, beside.Code()[:9]+"201"))
	o.places(ids[2], 3, here)
	plan := o.preview(p, todo.DistributeTo)
	want := map[cases.CaseID]string{ids[0]: "", ids[1]: "", ids[2]: "通报地址不在本辖区内，请人工核对", ids[3]: "通报地址未写明乡镇（街道），请人工分发"}
	if diff := cmp.Diff(want, left(plan)); diff != "" {
		t.Fatal(diff)
	}
	if plan.Action.Undoable() {
		t.Error("distribution is said to be undoable")
	}
	action, done, err := o.Todo.Apply(t.Context(), p, o.request(), plan.Token)
	o.must(err)
	if diff := cmp.Diff(map[cases.CaseID]string{ids[0]: "", ids[1]: ""}, reasons(done)); diff != "" {
		t.Error(diff)
	}
	rest := ids[2:]
	slices.SortFunc(rest, func(a, b cases.CaseID) int { return slices.Compare(a[:], b[:]) }) // due on one day
	o.waits(p, wants(todo.Distribute, rest...)...)
	o.waits(clerk(there), mark(todo.Pair, ids[0]))
	o.waits(clerk(beside), mark(todo.Pair, ids[1]))
	_, err = o.Todo.Undo(t.Context(), p, o.request(), action)
	refused(t, err, fault.KindConflict, "NOT_UNDOABLE", "action_id")
}

// TestBulkLimits: a plan is its maker's, for a quarter of an hour; undoing ends
// after a day.
func TestBulkLimits(t *testing.T) {
	o := newOffice(t)
	p := clerk(here)
	id := o.open(1, there)
	o.answer(there, id, silent)
	plan := o.preview(p, todo.Acknowledge)
	stranger := harness.Clerk(access.Clerk, here)
	stranger.ID = "another"
	for _, q := range []struct {
		p              access.Principal
		request, token string
		kind           fault.Kind
		reason, field  string
	}{
		{stranger, o.request(), plan.Token, fault.KindNotFound, "PLAN_UNKNOWN", "plan_token"},
		{clerk(there), o.request(), plan.Token, fault.KindNotFound, "PLAN_UNKNOWN", "plan_token"},
		{p, o.request(), hex.EncodeToString(make([]byte, 16)), fault.KindNotFound, "PLAN_UNKNOWN", "plan_token"},
		{p, o.request(), "x", fault.KindNotFound, "PLAN_UNKNOWN", "plan_token"},
		{p, "short", plan.Token, fault.KindInvalid, "REQUEST_ID", "request_id"},
		{harness.Clerk(access.County, here), o.request(), plan.Token, fault.KindDenied, "NOT_ALLOWED", ""},
	} {
		_, _, err := o.Todo.Apply(t.Context(), q.p, q.request, q.token)
		refused(t, err, q.kind, q.reason, q.field)
	}
	_, err := o.Todo.Undo(t.Context(), p, o.request(), plan.Token)
	refused(t, err, fault.KindConflict, "NOT_APPLIED", "action_id")
	for _, r := range []struct {
		r             todo.PreviewRequest
		kind          fault.Kind
		reason, field string
	}{
		{todo.PreviewRequest{}, fault.KindInvalid, "BULK_ACTION", "action"},
		{todo.PreviewRequest{Action: 9}, fault.KindInvalid, "BULK_ACTION", "action"},
		{todo.PreviewRequest{Action: todo.Acknowledge, Cases: make([]cases.CaseID, 1001)}, fault.KindInvalid, "BATCH_TOO_LARGE", "case_ids"},
		{todo.PreviewRequest{Action: todo.Acknowledge, Office: there}, fault.KindDenied, "FOREIGN_OFFICE", "office"},
	} {
		_, err := o.Todo.Preview(t.Context(), p, r.r)
		refused(t, err, r.kind, r.reason, r.field)
	}
	o.Clock.Add(15*time.Minute + time.Second)
	_, _, err = o.Todo.Apply(t.Context(), p, o.request(), plan.Token)
	refused(t, err, fault.KindConflict, "PLAN_EXPIRED", "plan_token")

	// An action that broke off after its cases were changed goes on where it was.
	plan = o.preview(p, todo.Acknowledge)
	request := o.request()
	o.raw.Exec(t, `CREATE FUNCTION pg_temp_fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION SQLSTATE ''57014''; END'`)
	o.raw.Exec(t, `CREATE TRIGGER fail BEFORE UPDATE ON request FOR EACH ROW EXECUTE FUNCTION pg_temp_fail()`)
	_, _, err = o.Todo.Apply(t.Context(), p, request, plan.Token)
	if !fault.Is(err, fault.KindUnavailable) {
		t.Fatalf("broken off: %v", err)
	}
	o.waits(p)
	o.raw.Exec(t, `DROP TRIGGER fail ON request`)
	o.Clock.Add(time.Hour) // the plan's time is over, but it began
	action, done, err := o.Todo.Apply(t.Context(), p, request, plan.Token)
	if err != nil || len(done) != 1 || done[0].Reason != "" || done[0].Etag != o.ref(here, id).Etag {
		t.Fatalf("taken up again: %+v, %v", done, err)
	}
	_, _, err = o.Todo.Apply(t.Context(), p, request, o.preview(p, todo.Acknowledge, id).Token)
	refused(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
	o.Clock.Add(24*time.Hour + time.Second)
	_, err = o.Todo.Undo(t.Context(), p, o.request(), action)
	refused(t, err, fault.KindConflict, "UNDO_EXPIRED", "action_id")
}
