package cases_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/cases"
)

func TestOutcomes(t *testing.T) {
	want := map[cases.Kind]string{
		cases.Outflow:      "RESIDING NOT_FOUND MOVED_ON MISROUTED DUPLICATE UNREACHABLE NO_DISCLOSURE ",
		cases.Inflow:       "CONFIRMED REGISTERED_ELSEWHERE NOT_OUR_REGISTER IDENTITY_CONFLICT MISROUTED NO_DISCLOSURE ",
		cases.Assist:       "DONE PARTLY CANNOT MISROUTED NO_DISCLOSURE ",
		cases.Certificate:  "VALID EXPIRED REVOKED UNKNOWN BAD_SIGNATURE ",
		cases.BirthService: "RECEIVED ",
	}
	got := map[cases.Kind]string{}
	for k := range 256 {
		k := cases.Kind(k)
		os := cases.OutcomesOf(k)
		for _, o := range os {
			got[k] += o.String() + " "
			if !k.AnswersWith(o) {
				t.Errorf("%s is not answered with %s", k, o)
			}
		}
		if k.AnswersWith(0) || k.Known() != (len(os) > 0) {
			t.Errorf("%s: known %v, outcomes %v", k, k.Known(), os)
		}
		if len(os) > 0 { // a copy
			os[0] = 0
			if cases.OutcomesOf(k)[0] == 0 {
				t.Errorf("%s: the table was changed from outside", k)
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("outcomes (-want +got):\n%s", d)
	}
	for o := range 256 {
		o := cases.Outcome(o)
		want := o == cases.Residing || o == cases.NotFound || o == cases.MovedOn || o == cases.Unreachable
		if o.Discloses() != want {
			t.Errorf("%s discloses: %v", o, !want)
		}
	}
}

// The names are those of the wire, and numbers beyond them are no panic.
func TestNames(t *testing.T) {
	for n := range 256 {
		k, o, s, r := cases.ItemKind(n), cases.Outcome(n), cases.Status(n), cases.Reject(n)
		if k.Known() != (n >= 1 && n <= 12) || k.Known() == (k.String() == "UNKNOWN") {
			t.Errorf("item kind %d: %s", n, k)
		}
		if (o.String() == "?") != (n > 20) || (s.String() == "?") != (n > 5) || (r.String() == "unknown reason") != (n > 7) {
			t.Errorf("%d: %s, %s, %s", n, o, s, r)
		}
	}
	if cases.Receipt.String() != "RECEIPT" || cases.Report.String() != "REPORT" || cases.Extend.String() != "EXTEND" || cases.Received.String() != "RECEIVED" || cases.StatusClosed.String() != "CLOSED" ||
		cases.BirthService.String() != "birth" || cases.Kind(9).String() != "unknown" || cases.Extend.String() != "EXTEND" || cases.Unproven.String() != "no proof of authorship" {
		t.Error("names have moved against their numbers")
	}
}

func TestResidenceSide(t *testing.T) {
	for k, want := range map[cases.Kind]cases.Side{cases.Outflow: cases.SideReceiver, cases.Assist: cases.SideReceiver,
		cases.Certificate: cases.SideReceiver, cases.Inflow: cases.SideOpener, cases.BirthService: cases.SideOpener} {
		if got := k.ResidenceSide(); got != want {
			t.Errorf("%s: side %d, want %d", k, got, want)
		}
	}
}
