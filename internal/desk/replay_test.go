package desk_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/ledger"
	"yipan/internal/store/storetest"
)

// TestReplayJournal puts a node back to a backup taken before people changed
// their minds: after the replay everything is as they wanted it, and again is
// nothing.
func TestReplayJournal(t *testing.T) {
	for _, local := range []bool{true, false} {
		t.Run(map[bool]string{true: "one node", false: "three nodes"}[local], func(t *testing.T) {
			b := newBureau(t, local)
			id, consent := b.disclosed(1, ledger.OfferDone, true)
			keep, _ := b.disclosed(2, ledger.OfferDone, true)
			confirm := b.consents(there, 3, ledger.PurposeNotice, here)
			r := b.notice(3, here)
			r.Kind, r.Origin, r.Fields.Basis = cases.Inflow, there, desk.BasisInput{Kind: cases.BasisConsent, Consent: confirm.ID}
			waiting := b.open(r)
			stray := b.open(b.notice(5, there))
			b.pair(there, stray)
			b.endRound()
			s := b.site(there)
			if n, err := s.Desk.ReplayJournal(t.Context()); err != nil || n != 0 {
				t.Fatalf("nothing to replay: %d, %v", n, err)
			}
			s.DB.Close()
			backup := storetest.Copy(t, b.urls[s])
			b.Start(s, storetest.Open(t, b.urls[s]))

			b.takeBack(there, consent)
			b.takeBack(there, confirm)
			late := b.consents(there, 4, ledger.PurposeNotice, here) // not in the backup
			b.takeBack(there, late)
			b.answer(there, stray, desk.AnswerInput{Outcome: cases.Misrouted})
			b.Clock.Add(8 * 24 * time.Hour)
			if n, err := s.Desk.EraseStrays(t.Context()); err != nil || n != 1 {
				t.Fatalf("strays erased: %d, %v", n, err)
			}
			if n, err := s.Desk.EraseStrays(t.Context()); err != nil || n != 0 {
				t.Fatalf("strays erased again: %d, %v", n, err)
			}

			s.DB.Close()
			b.urls[s] = backup
			b.Start(s, storetest.Open(t, backup))
			if f := b.get(there, id).Feedback; len(f) != 1 || !f[0].Released {
				t.Fatalf("the backup is no backup: %+v", f)
			}
			n, err := s.Desk.ReplayJournal(t.Context())
			if err != nil || n == 0 {
				t.Fatalf("replayed %d, %v", n, err)
			}
			check := func(when string) {
				t.Helper()
				if f := b.get(there, id).Feedback; len(f) != 0 {
					t.Errorf("%s: still shown: %+v", when, f)
				}
				if f := b.get(there, keep).Feedback; len(f) != 1 || !f[0].Released {
					t.Errorf("%s: another person's feedback is gone: %+v", when, f)
				}
				b.status(there, waiting, cases.StatusWithdrawn)
				list, err := s.Desk.ListConsents(t.Context(), clerk(there), there, desk.PersonRef{ID: consent.Person}, "test")
				if err != nil || len(list) != 1 || list[0].WithdrawnAt.IsZero() {
					t.Errorf("%s: consent %+v, %v", when, list, err)
				}
				if !local {
					if v := b.get(there, stray); v.Subject != "（已删除）" {
						t.Errorf("%s: the stray is %q", when, v.Subject)
					}
					raw := b.raw(there)
					if n := fmt.Sprint(raw.Rows(t, `SELECT count(*) FROM person WHERE erased_at IS NOT NULL AND name = '' AND key IS NULL`)[0]...); n != "1" {
						t.Errorf("%s: %s persons erased", when, n)
					}
					raw.Close()
				}
			}
			check("after the replay")
			before := b.marks(there)
			if n, err := s.Desk.ReplayJournal(t.Context()); err != nil || n != 0 {
				t.Errorf("again: %d, %v", n, err)
			}
			if diff := cmp.Diff(before, b.marks(there)); diff != "" {
				t.Errorf("replaying again changed:\n%s", diff)
			}
			if err := b.State(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
			b.settle()
			check("after statements")
			b.conserved()
		})
	}
}
