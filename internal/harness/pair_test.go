package harness

import (
	"fmt"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/ident"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	origin     = area.MustOf(area.County, "520330")
	originTown = area.MustOf(area.Township, "520330101")
	residence  = area.MustOf(area.County, "330782")
	third      = area.MustOf(area.County, "330481")
)

// towns returns the first townships of a county.
func towns(t testing.TB, county area.Key, n int) []area.Key {
	t.Helper()
	c := area.Children(county)
	if len(c) < n {
		t.Fatalf("county %s has %d townships", county, len(c))
	}
	return c[:n]
}

// world returns sites for the given counties, each with a database of its own.
func world(t testing.TB, counties ...area.Key) *World {
	t.Helper()
	w, err := NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counties {
		if _, err := w.AddSite(storetest.New(t), c); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// notice is an outflow notice about the i-th synthetic person.
func notice(i int, to area.Key) desk.OpenRequest {
	birth := civil.MustParse("1990-01-01").AddDays(i / 400)
	return desk.OpenRequest{
		RequestID: fmt.Sprintf("request-%06d", i), Kind: cases.Outflow, Origin: originTown, Destination: to,
		Fields: desk.FieldsInput{
			Name: "测试甲", Document: ident.Make("520330", birth, i%400, i%2 == 0), EventDay: civil.MustParse("2026-11-10"),
			Basis: desk.BasisInput{Kind: cases.BasisRequest},
		},
	}
}

func TestNoticeTravelsAndIsAnswered(t *testing.T) {
	ctx := t.Context()
	w := world(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	to := towns(t, residence, 1)[0]
	clerkA, clerkB := Clerk(access.Clerk, originTown), Clerk(access.Clerk, to)

	rs := make([]desk.OpenRequest, 300)
	for i := range rs {
		rs[i] = notice(i, to)
	}
	got, err := a.Desk.OpenCases(ctx, clerkA, rs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if r.Err != nil {
			t.Fatalf("notice %d: %v", i, r.Err)
		}
	}
	if err := w.Settle(ctx, 20); err != nil {
		t.Fatal(err)
	}
	list, _, err := b.Desk.ListCases(ctx, clerkB, desk.ListRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 300 {
		t.Fatalf("residence sees %d of 300", len(list))
	}
	var answers []desk.AnswerRequest
	for i, v := range list {
		answers = append(answers, desk.AnswerRequest{
			RequestID: fmt.Sprintf("answer-%06d", i), Ref: desk.CaseRef{Case: v.ID, Etag: v.Etag},
			Answer: desk.AnswerInput{Outcome: cases.Residing, Check: "visit"},
		})
	}
	res, err := b.Desk.AnswerMany(ctx, clerkB, answers)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range res {
		if r.Err != nil {
			t.Fatalf("answer %d: %v", i, r.Err)
		}
		if len(r.Warnings) != 1 {
			t.Fatalf("answer %d without basis gave no warning", i)
		}
	}
	if err := w.Settle(ctx, 20); err != nil {
		t.Fatal(err)
	}
	v, err := a.Desk.GetCase(ctx, clerkA, desk.GetRequest{Case: got[7].Case, Purpose: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if v.Status != cases.StatusAnswered || v.Answer == nil || v.Answer.Outcome != cases.NoDisclosure || v.DeliveredAt.IsZero() {
		t.Fatalf("origin sees %v, answer %+v", v.Status, v.Answer)
	}
	if err := w.State(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if bad := w.Conserved(ctx, t.Fatalf); len(bad) > 0 {
		t.Fatal(bad)
	}
}
