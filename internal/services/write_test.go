package services_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/services"
	"yipan/internal/store/storetest"
)

// written lists what the transaction that last rewrote a person's row wrote.
func written(t *testing.T, raw *storetest.Tables, who cases.PersonID) (out []string) {
	t.Helper()
	for _, r := range raw.Rows(t, `WITH x AS (SELECT xmin::text AS x FROM person WHERE id = $1)
		SELECT 'service' FROM service s, x WHERE s.xmin::text = x.x AND s.person = $1
		UNION ALL SELECT 'tally' FROM service_tally s, x WHERE s.xmin::text = x.x
		UNION ALL SELECT 'request' FROM request s, x WHERE s.xmin::text = x.x
		UNION ALL SELECT 'log' FROM access_log s, x WHERE s.xmin::text = x.x AND subjects = ARRAY[$1::uuid]`, [16]byte(who)) {
		out = append(out, r[0].(string))
	}
	slices.Sort(out)
	return out
}

// TestARefusalWritesAsAnyService: what one transaction writes does not tell that
// a person refused a service once and for all, or that a clerk met that refusal,
// from a service that was done (SECURITY D4).
func TestARefusalWritesAsAnyService(t *testing.T) {
	b := newBureau(t)
	who := b.register(there, 1)
	raw := storetest.Raw(t, b.url)
	defer raw.Close()
	b.record(who, ledger.ThreeChecks, ledger.OfferDone)
	want := written(t, raw, who)
	if d := cmp.Diff([]string{"log", "request", "service", "tally"}, want); d != "" {
		t.Fatalf("a service done: %s", d)
	}
	set := func(refused bool) {
		t.Helper()
		if err := b.Services.SetStandingRefusal(t.Context(), clerk(there), b.request(), who, ledger.ThreeChecks, refused); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string) {
		t.Helper()
		if d := cmp.Diff(want, written(t, raw, who)); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	set(true)
	check("a standing refusal")
	in := b.input(who, ledger.ThreeChecks, ledger.OfferDone)
	_, _, err := b.Services.Record(t.Context(), clerk(there), in)
	refused(t, err, fault.KindConflict, "STANDING_REFUSAL", "result")
	check("a service that met it")

	// The request stands: it is answered alike again, and the look is logged.
	set(false)
	check("a refusal taken back")
	_, before := b.reads(clerk(there), access.ServiceWrite)
	_, _, err = b.Services.Record(t.Context(), clerk(there), in)
	refused(t, err, fault.KindConflict, "STANDING_REFUSAL", "result")
	if _, after := b.reads(clerk(there), access.ServiceWrite); after != before+1 {
		t.Errorf("%d persons logged for the repeated request, want 1", after-before)
	}
	in.Kind, in.Period = ledger.Visit, 0
	_, _, err = b.Services.Record(t.Context(), clerk(there), in)
	refused(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
	in = b.input(who, ledger.ThreeChecks, ledger.OfferDone)
	if _, _, err := b.Services.Record(t.Context(), clerk(there), in); err != nil {
		t.Errorf("a new request afterwards: %v", err)
	}
}

// TestARefusalBetweenRoundsWritesAsAVisit: no offer round is open, so that nothing
// but a standing refusal could write there.
func TestARefusalBetweenRoundsWritesAsAVisit(t *testing.T) {
	b := newBureau(t)
	who := b.register(there, 1)
	raw := storetest.Raw(t, b.url)
	defer raw.Close()
	b.record(who, ledger.ThreeChecks, ledger.OfferDone)
	r, err := b.world.Policies.Round(20273) // the last that the policy knows
	if err != nil {
		t.Fatal(err)
	}
	b.world.Clock.Add(r.Ends.Sub(b.world.Clock.Now()))
	if _, open := b.world.Policies.RoundAt(r.Ends); open {
		t.Fatal("a round is open after the last")
	}
	in := b.input(who, ledger.Visit, ledger.OfferDone)
	in.Record.Date = civil.In(r.Ends)
	if _, _, err := b.Services.Record(t.Context(), clerk(there), in); err != nil {
		t.Fatal(err)
	}
	want := written(t, raw, who)
	for _, refused := range []bool{true, false} {
		if err := b.Services.SetStandingRefusal(t.Context(), clerk(there), b.request(), who, ledger.ThreeChecks, refused); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, written(t, raw, who)); d != "" {
			t.Errorf("refused %t: %s", refused, d)
		}
		views, standing, err := b.Services.PersonServices(t.Context(), clerk(there), who, "test")
		if err != nil || len(views) != 2 || slices.Contains(standing, ledger.ThreeChecks) != refused {
			t.Errorf("refused %t: %d services, standing %v, %v", refused, len(views), standing, err)
		}
		if i := slices.IndexFunc(views, func(v services.View) bool { return v.Kind == ledger.Visit }); i < 0 || views[i].Record.Result != ledger.OfferDone {
			t.Errorf("refused %t: the visit changed", refused)
		}
	}
}
