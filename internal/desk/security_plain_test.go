package desk_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/ledger"
	"yipan/internal/services"
)

// links says for each table how its rows belong to people at the office there:
// a query of (person, row). Tables that belong to nobody are empty strings.
var links = map[string]string{
	"person":      `SELECT t.id AS who, t.* FROM person t WHERE office = $1`,
	"consent":     `SELECT t.person AS who, t.* FROM consent t WHERE office = $1`,
	"case_side":   `SELECT t.person AS who, t.* FROM case_side t WHERE office = $1 AND person IS NOT NULL`,
	"offer":       `SELECT s.person AS who, t.* FROM offer t JOIN case_side s ON s.case_id = t.case_id AND s.office = t.office WHERE t.office = $1 AND s.person IS NOT NULL`,
	"leg":         `SELECT s.person AS who, t.* FROM leg t JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"item":        `SELECT s.person AS who, t.* FROM item t JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"share":       `SELECT s.person AS who, t.* FROM share t JOIN item i ON i.id = t.item JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"cover":       `SELECT s.person AS who, t.* FROM cover t JOIN item i ON i.id = t.item JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"side_round":  `SELECT s.person AS who, t.* FROM side_round t JOIN case_side s USING (case_id, office) WHERE t.office = $1 AND s.person IS NOT NULL`,
	"access_log":  `SELECT w AS who, t.* FROM access_log t, unnest(subjects) w WHERE office = $1`,
	"certificate": `SELECT t.person AS who, t.* FROM certificate t WHERE office = $1`,
	// Joined by nothing but its order, which is that of the people here.
	"request": `SELECT p.person AS who, t.* FROM (SELECT *, row_number() OVER (ORDER BY at, request_id) AS n FROM request WHERE method IN ('offer', 'service')) t
	            JOIN (SELECT person, row_number() OVER (ORDER BY min(id)) AS n FROM (SELECT id, subjects[1] AS person FROM access_log WHERE purpose IN ('offer', 'service')) l GROUP BY person) p USING (n) WHERE t.office = $1`,
	"tombstone":    `SELECT s.person AS who, t.* FROM tombstone t JOIN item i ON i.id = t.item JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"service":      `SELECT t.person AS who, t.* FROM service t WHERE office = $1`,
	"contact":      `SELECT t.person AS who, t.* FROM contact t WHERE office = $1`,
	"person_event": `SELECT t.person AS who, t.* FROM person_event t WHERE office = $1`,
	"movement":     `SELECT t.person AS who, t.* FROM movement t WHERE office = $1`,
	"former_name":  `SELECT t.person AS who, t.* FROM former_name t WHERE office = $1`,
	"lookup":       `SELECT t.person AS who, t.* FROM lookup t WHERE office = $1`,
	"keeper":       `SELECT t.person AS who, t.* FROM keeper t WHERE office = $1`,
	"duplicate":    `SELECT t.a AS who, t.* FROM duplicate t WHERE office = $1`,
	"approval":     `SELECT t.about AS who, t.* FROM approval t WHERE office = $1`,
	"case_lookup":  `SELECT s.person AS who, t.* FROM case_lookup t JOIN case_side s USING (case_id, office) WHERE t.office = $1 AND s.person IS NOT NULL`,
	// One row an office, kind and period, which every event rewrites.
	"service_tally": "",
	"bulk":          "", "tries": "", "village": "",
	// Counts of an office's work, of what is plain already.
	"cube_delta": "", "cube_day": "", "cube_month": "", "cube_peer": "",
	"digest": "", "digest_dropped": "", "account": "", "token": "", "peer": "", "directory_record": "", "quarantine": "", "outage": "", "note": "",
	// Frozen months hold rounds as a whole, in one row an office, side and kind;
	// a difference between two ends belongs to a case.
	"month_frozen": "", "month_rounds": "", "month_state": "", "month_peer": "", "report_child": "", "report_in": "",
	"month_difference": `SELECT s.person AS who, t.* FROM month_difference t JOIN case_side s USING (case_id, office) WHERE t.office = $1 AND s.person IS NOT NULL`,
	"outage_declared":  "",
	"outage_round":     `SELECT s.person AS who, t.* FROM outage_round t JOIN case_side s USING (case_id) WHERE s.office = $1 AND s.person IS NOT NULL`,
	"made_report":      "", // whole files of reports
	"reminder":         "", "reminder_day": "", "duty": "",
	"goose_db_version": "",
}

// separates looks for a column in which the two groups do not overlap: by
// value, by length or by stored size.
func (b *bureau) separates(groups [2][]cases.PersonID) (found []string) {
	b.Helper()
	raw := b.raw(there)
	defer raw.Close()
	for _, r := range raw.Rows(b.TB, `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`) {
		table := r[0].(string)
		sql, ok := links[table]
		if !ok {
			b.Errorf("table %s is new: say in links how it belongs to people", table)
			continue
		}
		if sql == "" {
			continue
		}
		for _, c := range raw.Rows(b.TB, `SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`, table) {
			name, kind := c[0].(string), c[1].(string)
			forms := []string{"pg_column_size(%s)"}
			switch kind {
			case "bytea":
				forms = append(forms, "length(%s)")
			case "uuid", "ARRAY":
			case "text":
				forms = append(forms, "length(%s)", "hashtextextended(%s, 0)")
			case "boolean":
				forms = append(forms, "%s::int")
			case "timestamp with time zone":
				forms = append(forms, "CASE WHEN isfinite(%[1]s) THEN (extract(epoch FROM %[1]s) * 1000000)::bigint ELSE -2 END")
			case "date":
				forms = append(forms, "%s - date '2000-01-01'")
			default:
				forms = append(forms, "%s")
			}
			for _, f := range forms {
				form := fmt.Sprintf(f, name)
				var values [2][]int64
				for _, row := range raw.Rows(b.TB, fmt.Sprintf(`SELECT who, coalesce((%s)::bigint, -1) FROM (%s) q`, form, sql), int64(there)) {
					for g := range groups {
						if slices.Contains(groups[g], row[0].([16]byte)) {
							values[g] = append(values[g], row[1].(int64))
						}
					}
				}
				if apart(values) {
					found = append(found, table+": "+form)
				}
			}
		}
		// Whether a person has a row at all, and how many.
		counts := [2]map[int64]bool{{}, {}}
		for g := range groups {
			for _, who := range groups[g] {
				n := raw.Rows(b.TB, fmt.Sprintf(`SELECT count(*) FROM (%s) q WHERE who = $2`, sql), int64(there), [16]byte(who))
				counts[g][n[0][0].(int64)] = true
			}
		}
		if diff := cmp.Diff(counts[0], counts[1]); diff != "" {
			found = append(found, table+": number of rows")
		}
	}
	return found
}

// apart reports whether a value tells the groups apart: one group has a value
// often that the other never has, or a threshold divides them.
func apart(v [2][]int64) bool {
	if len(v[0]) == 0 || len(v[1]) == 0 {
		return len(v[0]) != len(v[1])
	}
	if slices.Max(v[0]) < slices.Min(v[1]) || slices.Max(v[1]) < slices.Min(v[0]) {
		return true
	}
	for g := range v {
		often := map[int64]int{}
		for _, x := range v[g] {
			often[x]++
		}
		for x, n := range often {
			if n > 1 && !slices.Contains(v[1-g], x) {
				return true
			}
		}
	}
	return false
}

// TestSecurity11PlainColumnsCannotSeparateDeclinedFromDone: row 11. Nothing that
// the database shows in clear, and no size, tells who declined: during the
// round, and after its feedback left.
func TestSecurity11PlainColumnsCannotSeparateDeclinedFromDone(t *testing.T) {
	b := newBureau(t, false)
	const each = 12
	var groups [2][]cases.PersonID
	for i := range 2 * each {
		id := b.open(b.notice(i, there))
		b.answer(there, id, desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
		who := b.pair(there, id)
		c := b.consents(there, i, ledger.PurposeFeedback, here) // everybody gave one
		r := offer(b.request(), b.ref(there, id), ledger.OfferDeclined)
		g := (i + i/2) % 2 // ABBA: no order separates them
		if g == 1 {
			r.Result, r.Consent = ledger.OfferDone, c.ID
			r.Findings = map[string]string{"pregnancy": "none", "iud": "in_place", "reproductive_health": strings.Repeat("x", 80)}
		}
		if _, err := b.site(there).Services.RecordOffer(t.Context(), clerk(there), r); err != nil {
			t.Fatal(err)
		}
		groups[g] = append(groups[g], who)
	}
	if found := b.separates(groups); len(found) > 0 {
		t.Errorf("during the round, declined and done are told apart by %v", found)
	}
	// Locks leave traces in rows as well.
	raw := b.raw(there)
	if n := fmt.Sprint(raw.Rows(t, `SELECT count(DISTINCT (xmax = '0'::xid)) FROM consent`)[0]...); n != "1" {
		t.Error("row locks tell which consents were cited")
	}
	raw.Close()
	b.endRound()
	if n := len(b.bodies(here, cases.Feedback)); n != 2*each {
		t.Fatalf("%d feedbacks arrived", n)
	}
	if found := b.separates(groups); len(found) > 0 {
		t.Errorf("after the round, declined and done are told apart by %v", found)
	}

	// What was recorded person by person, without a case; asked and not reached
	// are the two that stay open.
	for _, results := range [][2][]string{
		{{ledger.OfferDeclined, ledger.OfferStandingRefusal}, {ledger.OfferDone, ledger.OfferNotApplicable}},
		{{ledger.OfferStandingRefusal}, {ledger.OfferDeclined}},
		{{ledger.OfferAsked}, {ledger.OfferNotReached}},
	} {
		b := newBureau(t, false)
		groups := [2][]cases.PersonID{}
		for i := range 2 * each {
			c := b.consents(there, i, ledger.PurposeFeedback, here)
			g := (i + i/2) % 2
			in := b.service(c.Person, results[g][i/4%len(results[g])])
			if in.Record.Result == ledger.OfferDone {
				in.Record.Consent, in.Record.Findings = c.ID, map[string]string{"iud": "in_place"}
				in.Record.Referral = &ledger.Referral{To: "县妇幼保健院", Date: in.Record.Date}
			}
			if _, _, err := b.site(there).Services.Record(t.Context(), clerk(there), in); err != nil {
				t.Fatal(err)
			}
			groups[g] = append(groups[g], c.Person)
		}
		if found := b.separates(groups); len(found) > 0 {
			t.Errorf("%v are told apart by %v", results, found)
		}
		raw := b.raw(there)
		for _, sql := range []string{`SELECT count(DISTINCT (xmax = '0'::xid)) FROM consent`, `SELECT count(*) FROM service_tally`, `SELECT count(DISTINCT length(sealed)) FROM service_tally`} {
			if n := fmt.Sprint(raw.Rows(t, sql)[0]...); n != "1" {
				t.Errorf("%s: %s", sql, n)
			}
		}
		raw.Close()
	}

	// Answers: a refusal, a residence that was confirmed, and one that was not.
	b = newBureau(t, false)
	groups = [2][]cases.PersonID{}
	for i := range 2 * each {
		id := b.open(b.notice(i, there))
		who := b.pair(there, id)
		in := desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}
		g := (i + i/2) % 2
		if g == 1 {
			in = desk.AnswerInput{Outcome: cases.Residing, Check: "document", Basis: desk.BasisInput{Kind: cases.BasisRequest}}
		}
		b.answer(there, id, in)
		groups[g] = append(groups[g], who)
	}
	if found := b.separates(groups); len(found) > 0 {
		t.Errorf("refusal and confirmation are told apart by %v", found)
	}
}

// TestSecurity11ContactsAreNoTrace: nothing in clear tells whom a contact
// reached, nor who does not agree to be contacted.
func TestSecurity11ContactsAreNoTrace(t *testing.T) {
	for name, agreed := range map[string][2]string{
		"reached":    {ledger.PurposeContact, ledger.PurposeContact},
		"not agreed": {ledger.PurposeContact, ledger.PurposeConfirm},
	} {
		b := newBureau(t, false)
		var groups [2][]cases.PersonID
		for i := range 24 {
			g := (i + i/2) % 2
			who := b.consents(there, i, agreed[g], there).Person
			for n := range 2 {
				err := b.site(there).Services.RecordContact(t.Context(), clerk(there), services.ContactInput{
					RequestID: b.request(), Person: who, Date: civil.MustParse("2026-11-20").AddDays(-n), Channel: ledger.Channels()[n],
					Reached: name == "reached" && g == 1, Purpose: "test",
				})
				if refused := err != nil; refused != (agreed[g] != ledger.PurposeContact) {
					t.Fatalf("%s: %v", name, err)
				}
			}
			groups[g] = append(groups[g], who)
		}
		if found := b.separates(groups); len(found) > 0 {
			t.Errorf("%s is told by %v", name, found)
		}
		raw := b.raw(there)
		for _, sql := range []string{`SELECT count(DISTINCT length(sealed)) FROM contact`, `SELECT (count(*) - 23) FROM contact`} {
			if n := fmt.Sprint(raw.Rows(t, sql)[0]...); n != "1" {
				t.Errorf("%s: %s: %s", name, sql, n)
			}
		}
		raw.Close()
	}
}

// service is a service of today to a person.
func (b *bureau) service(who cases.PersonID, result string) services.Input {
	return services.Input{
		RequestID: b.request(), Person: who, Kind: ledger.ThreeChecks,
		Record: ledger.ServiceRecord{Result: result, Date: civil.MustParse("2026-11-20"), Channel: "visit"},
	}
}

// TestSecurity11StandingRefusalIsNoTrace: what a standing refusal, its lifting,
// and a record that one forbids leave behind is what a record leaves that
// closes nothing.
func TestSecurity11StandingRefusalIsNoTrace(t *testing.T) {
	b := newBureau(t, false)
	var groups [2][]cases.PersonID
	for i := range 24 {
		who := b.consents(there, i, ledger.PurposeFeedback, here).Person
		s, in := b.site(there).Services, b.service(who, ledger.OfferAsked)
		g := (i + i/2) % 2
		var err error
		if g == 0 {
			err = s.SetStandingRefusal(t.Context(), clerk(there), b.request(), who, ledger.ThreeChecks, i%3 > 0)
		} else {
			_, _, err = s.Record(t.Context(), clerk(there), in)
		}
		if err != nil {
			t.Fatal(err)
		}
		groups[g] = append(groups[g], who)
	}
	if found := b.separates(groups); len(found) > 0 {
		t.Errorf("a standing refusal is told from a record by %v", found)
	}
}

// TestSecurity11SeparatesFindsLeaks shows that the search above finds what it
// looks for.
func TestSecurity11SeparatesFindsLeaks(t *testing.T) {
	b := newBureau(t, false)
	var groups [2][]cases.PersonID
	for i := range 8 {
		id, _ := b.disclosed(i, ledger.OfferDeclined, false)
		raw := b.raw(there)
		who := raw.Rows(t, `SELECT person FROM case_side WHERE case_id = $1`, [16]byte(id))[0][0].([16]byte)
		if g := (i + i/2) % 2; g == 1 {
			raw.Exec(t, `UPDATE service SET sealed = sealed || '\x00'::bytea WHERE person = $1`, who)
			groups[1] = append(groups[1], who)
		} else {
			groups[0] = append(groups[0], who)
		}
		raw.Close()
	}
	found := b.separates(groups)
	if !slices.Contains(found, "service: length(sealed)") || !slices.Contains(found, "service: pg_column_size(sealed)") {
		t.Errorf("a planted leak is not found: %v", found)
	}
}
