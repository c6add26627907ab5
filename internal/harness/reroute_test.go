package harness

import (
	"testing"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/ident"
	"yipan/internal/wire"
)

// A receiver that names the opener's own county asks for no movement: no leg is
// opened by itself, and a clerk decides.
func TestRerouteTowardsTheOpenersCounty(t *testing.T) {
	w := watch(t, residence, third, origin)
	b, c, a := w.Sites[0], w.Sites[1], w.Sites[2]
	x, y := towns(t, residence, 1)[0], towns(t, third, 1)[0]
	req := notice(1, y)
	req.Origin = x
	v, _, err := b.Desk.OpenCase(t.Context(), Clerk(access.Clerk, x), req)
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.answer(c, y, v.ID, desk.AnswerInput{Outcome: cases.Misrouted, Area: residence})
	w.settle()
	if n := w.count(b, `leg`); n != 1 {
		t.Fatalf("%d legs at the opener", n)
	}
	v = w.view(b, x, v.ID)
	got, err := b.Desk.Reroute(t.Context(), Clerk(access.Clerk, x), desk.RerouteRequest{
		RequestID: "reroute-0001", Ref: desk.CaseRef{Case: v.ID, Etag: v.Etag}, Destination: originTown,
	})
	if err != nil {
		t.Fatalf("the clerk cannot decide: %v", err)
	}
	w.mend()
	if v := w.view(a, originTown, got.ID); v.Status != cases.StatusOpen {
		t.Errorf("the area that the clerk chose shows %v", v.Status)
	}
}

// After a restore items of a child leg can come back before its OPEN: no office
// sees the leg then, and the duty to open it must not write under another key.
func TestChildOpensBesideALegWithoutOpening(t *testing.T) {
	w := watch(t, origin, third)
	a, c := w.Sites[0], w.Sites[1]
	two := towns(t, origin, 2)
	x, y, z := two[0], two[1], towns(t, third, 1)[0]
	v, _, err := a.Desk.OpenCase(t.Context(), Clerk(access.Clerk, x), desk.OpenRequest{
		RequestID: "request-local", Kind: cases.Outflow, Origin: x, Destination: y,
		Fields: desk.FieldsInput{
			Name: "测试甲", Document: ident.Make("520330", civil.MustParse("1990-01-01"), 1, false),
			EventDay: civil.MustParse("2026-11-10"), Basis: desk.BasisInput{Kind: cases.BasisRequest},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	before := w.backup(a)
	misrouted := desk.AnswerInput{Outcome: cases.Misrouted, Area: z}
	w.answer(a, y, v.ID, misrouted)
	w.settle()
	child := cases.ChildCaseID(v.ID, 1, z)
	w.answer(c, z, child, residing)
	answer := unseal(t, a, w.pack(c, a).Bytes).Items
	w.restore(before)
	w.absorb(a, w.forge(c.Node, c.Keys.Signing(), a, wire.Parcel{Items: answer}))
	if n := w.count(a, `leg WHERE case_id = $1`, [16]byte(child)); n != 1 {
		t.Fatalf("%d legs of the child", n)
	}
	w.answer(a, y, v.ID, misrouted)
	if got := w.view(a, x, child); got.Fields == nil || got.Status != cases.StatusAnswered {
		t.Errorf("the opener shows %v, fields %v", got.Status, got.Fields != nil)
	}
	w.mend()
	if got := w.view(c, z, child); got.Status != cases.StatusAnswered {
		t.Errorf("the receiver shows %v", got.Status)
	}
}
