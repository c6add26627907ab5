package rpc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

var at = time.Date(2026, 11, 2, 1, 30, 0, 123_000_000, time.UTC)

// The numbers of the API's enums are those of the domain: each pair of names
// belongs to one number, and neither side has more.
func TestEnums(t *testing.T) {
	check := func(d protoreflect.EnumDescriptor, prefix string, last int, name func(int) string) {
		t.Helper()
		if n := d.Values().Len(); n != last+1 {
			t.Errorf("%s has %d values, want %d", d.Name(), n, last+1)
		}
		for i := 1; i <= last; i++ {
			v := d.Values().ByNumber(protoreflect.EnumNumber(i))
			if v == nil || string(v.Name()) != prefix+name(i) {
				t.Errorf("%s %d is %v, want %s%s", d.Name(), i, v, prefix, name(i))
			}
		}
	}
	kind := map[string]string{"birth": "BIRTH_SERVICE"}
	check(casesv1.Kind(0).Descriptor(), "KIND_", int(cases.BirthService), func(i int) string {
		s := cases.Kind(i).String()
		if k := kind[s]; k != "" {
			return k
		}
		return strings.ToUpper(s)
	})
	check(casesv1.State(0).Descriptor(), "STATE_", int(cases.StatusClosed), func(i int) string { return cases.Status(i).String() })
	check(casesv1.Outcome(0).Descriptor(), "OUTCOME_", int(cases.Received), func(i int) string { return cases.Outcome(i).String() })
	check(casesv1.Side(0).Descriptor(), "SIDE_", int(cases.SideReceiver), func(i int) string {
		return map[cases.Side]string{cases.SideOpener: "OPENER", cases.SideReceiver: "RECEIVER"}[cases.Side(i)]
	})
	check(casesv1.Waiting(0).Descriptor(), "WAITING_", int(desk.WaitResidence), func(i int) string {
		return map[desk.Waiting]string{desk.WaitOrigin: "ORIGIN", desk.WaitTransport: "TRANSPORT", desk.WaitCounty: "COUNTY", desk.WaitResidence: "RESIDENCE"}[desk.Waiting(i)]
	})
	check(casesv1.BasisKind(0).Descriptor(), "BASIS_KIND_", int(cases.BasisDuty), func(i int) string {
		return map[cases.BasisKind]string{cases.BasisRequest: "REQUEST", cases.BasisConsent: "CONSENT", cases.BasisDuty: "DUTY"}[cases.BasisKind(i)]
	})
	if n := ratesv1.Measure(0).Descriptor().Values().Len(); n != len(rates.All())+1 {
		t.Errorf("%d measures in the API, %d known", n-1, len(rates.All()))
	}
}

func TestCaseMessage(t *testing.T) {
	v := desk.CaseView{
		ID: idA, Kind: cases.Outflow, Side: cases.SideReceiver, Office: linan, X: xishui, Y: linan, Status: cases.StatusAnswered, Round: 2,
		Waiting: desk.WaitOrigin, Etag: "e3", OpenedAt: at, DueAt: at, Assigned: linan, Subject: "测** 1949",
		Fields: &cases.Fields{
			Name: "测试甲", DocumentKind: 1, DocumentNumber: "11010519491231002X", Sex: 2, Birth: civil.MustParse("1949-12-31"), Contact: "13800000000",
			EventDay: civil.MustParse("2026-09-30"), Basis: cases.Basis{Kind: cases.BasisDuty, Duty: "duty:x", TextHash: [32]byte{1}}, Confirm: cases.Basis{Kind: cases.BasisConsent, Consent: consentB},
		},
		Answer: &cases.AnswerBody{Outcome: cases.MovedOn, Area: linan, DuplicateOf: idA, Channels: []string{"visit"}, Check: "visit"},
		Paired: true, Disputed: true, OlderFields: true, Crossed: true, Parent: idA, Hops: 1, NoNodeYet: true,
		Feedback: []desk.FeedbackView{{OfferRound: 20261, Released: true, Fields: map[string]string{"a": "b"}}, {OfferRound: 20253}},
	}
	want := &casesv1.Case{
		CaseId: hexA, Kind: casesv1.Kind_KIND_OUTFLOW, Side: casesv1.Side_SIDE_RECEIVER, Office: "3:330112", Origin: "4:520330001", Destination: "3:330112",
		State: casesv1.State_STATE_ANSWERED, Round: 2, Waiting: casesv1.Waiting_WAITING_ORIGIN, Etag: "e3", OpenedAt: timestamppb.New(at), DueAt: timestamppb.New(at),
		AssignedTo: "3:330112", Subject: "测** 1949",
		Fields: &casesv1.Fields{
			Name: "测试甲", Document: "11010519491231002X", Sex: 2, BirthDate: "1949-12-31", Contact: "13800000000", EventDate: "2026-09-30",
			Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_DUTY, Duty: "duty:x"}, ConfirmConsentId: hexB,
		},
		Answer: &casesv1.Answer{Outcome: casesv1.Outcome_OUTCOME_MOVED_ON, Area: "3:330112", DuplicateOf: hexA, Channels: []string{"visit"}, Check: "visit"},
		Paired: true, Disputed: true, AnsweredOnOlderFields: true, WithdrawalCrossed: true, ParentCaseId: hexA, Hops: 1, NoNodeYet: true,
		Feedback: []*casesv1.Feedback{{OfferRound: 20261, Released: true, Fields: map[string]string{"a": "b"}}, {OfferRound: 20253}},
	}
	if diff := cmp.Diff(want, caseMessage(v), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&casesv1.Case{}, caseMessage(desk.CaseView{}), protocmp.Transform()); diff != "" {
		t.Errorf("empty (-want +got):\n%s", diff)
	}
}

func TestTraceMessage(t *testing.T) {
	got := traceMessage(desk.Trace{
		Events: []desk.Event{
			{Item: cases.ItemID(idA), Kind: cases.Open, Side: cases.SideOpener, Node: cases.NodeID(linan), Round: 1, RecordedAt: at, DeliveredAt: at},
			{Kind: cases.Answer, Side: cases.SideReceiver, Round: 1, RecordedAt: at, Rejected: cases.NotHome, Revoked: true, Erased: true},
		},
		Spent: map[desk.Waiting]time.Duration{desk.WaitResidence: time.Hour, desk.WaitTransport: 1500 * time.Millisecond},
	})
	want := &casesv1.TraceCaseResponse{Case: &casesv1.Case{}, Events: []*casesv1.Event{
		{ItemId: hexA, Kind: "OPEN", Side: casesv1.Side_SIDE_OPENER, Node: "3:330112", Round: 1, RecordedAt: timestamppb.New(at), DeliveredAt: timestamppb.New(at)},
		{Kind: "ANSWER", Side: casesv1.Side_SIDE_RECEIVER, Round: 1, RecordedAt: timestamppb.New(at), Rejected: "author was never home of its area", Revoked: true, Erased: true},
	}, SideTimes: []*casesv1.SideTime{{Waiting: casesv1.Waiting_WAITING_TRANSPORT, Seconds: 1}, {Waiting: casesv1.Waiting_WAITING_RESIDENCE, Seconds: 3600}}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResults(t *testing.T) {
	refused := fault.Conflict("ETAG_STALE", "stale").Zh("已变化").On("etag")
	item := &casesv1.ItemError{Reason: "ETAG_STALE", Field: "etag", Message: "已变化"}
	if diff := cmp.Diff(&casesv1.OpenResult{Index: 3, Error: item}, openResult(3, desk.OpenResult{Case: idA, Err: refused}), protocmp.Transform()); diff != "" {
		t.Errorf("refused opening:\n%s", diff)
	}
	if diff := cmp.Diff(&casesv1.OpenResult{Index: 1, CaseId: hexA, Warnings: []string{"w"}, RepeatedRequest: true},
		openResult(1, desk.OpenResult{Case: idA, Warnings: []string{"w"}, Repeated: true}), protocmp.Transform()); diff != "" {
		t.Errorf("repeated opening:\n%s", diff)
	}
	if diff := cmp.Diff(&casesv1.ChangeResult{Index: 2, CaseId: hexA, Error: item}, changeResult(2, desk.ChangeResult{Case: idA, Err: refused}), protocmp.Transform()); diff != "" {
		t.Errorf("refused change:\n%s", diff)
	}
	leak := openResult(0, desk.OpenResult{Err: fmt.Errorf("row of 测试甲")}).GetError()
	if leak.GetReason() != "INTERNAL" || strings.Contains(leak.String(), "测试甲") {
		t.Errorf("internal error of a row: %v", leak)
	}
}

func TestOtherMessages(t *testing.T) {
	consent, err := consentRequest(&consentv1.RecordConsentRequest{RequestId: "request-1", Office: "520330001", Person: &consentv1.Person{Document: "x", Name: "测试甲"},
		Consent: &consentv1.Consent{Recipient: "330112", Purpose: "notice", Fields: []string{"name"}, TextVersion: "v1", TextSha256: strings.Repeat("ab", 32), GivenHow: "paper", GivenAt: timestamppb.New(at), ValidUntil: timestamppb.New(at)}})
	if err != nil {
		t.Fatal(err)
	}
	consent.Consent.ID, consent.Consent.Office = consentB, consent.Office
	if diff := cmp.Diff(&consentv1.Consent{ConsentId: hexB, Office: "4:520330001", Recipient: "3:330112", Purpose: "notice", Fields: []string{"name"}, TextVersion: "v1",
		TextSha256: strings.Repeat("ab", 32), GivenHow: "paper", GivenAt: timestamppb.New(at), ValidUntil: timestamppb.New(at)}, consentMessage(consent.Consent), protocmp.Transform()); diff != "" {
		t.Errorf("consent there and back:\n%s", diff)
	}
	rate := rateMessage(&figures.Row{
		Measure: rates.FeedbackOnTime, Area: area.MustOf(area.County, "520330"), Kind: cases.Inflow, Target: "95.00", Partial: true, Basis: rates.Live, AsOf: at, Extended: 1,
		Tally: rates.Tally{Ratio: rates.Ratio{N: 1, D: 2}, Pending: 1, Unreceipted: 4, Overdue: map[rates.Waiting]int64{rates.WaitOrigin: 1}, Excluded: map[rates.Code]int64{rates.NotDelivered: 3}},
		Trend: []figures.Point{{Period: policy.PeriodOf(at, policy.SpanMonth), Ratio: rates.Ratio{N: 1, D: 3}}},
	})
	if diff := cmp.Diff(&ratesv1.Rate{Measure: ratesv1.Measure_MEASURE_FEEDBACK_ON_TIME, Area: "3:520330", AreaName: "贵州省遵义市习水县", Kind: casesv1.Kind_KIND_INFLOW, N: 1, D: 2, Percent: "50.00",
		Overdue: map[string]int64{"origin": 1}, Excluded: map[string]int64{"NOT_DELIVERED": 3}, Target: "95.00", Pending: 1, Unreceipted: 4, Extended: 1, Partial: true,
		Basis: ratesv1.Basis_BASIS_LIVE, AsOf: timestamppb.New(at), Definition: rates.FeedbackOnTime.Definition(),
		Trend: []*ratesv1.Point{{Period: policy.PeriodOf(at, policy.SpanMonth).String(), N: 1, D: 3, Percent: "33.33"}}}, rate, protocmp.Transform()); diff != "" {
		t.Errorf("rate:\n%s", diff)
	}
	peer := peerMessage(desk.PeerView{Node: cases.NodeID(linan), Unsettled: 3, Oldest: 90 * time.Second, Settled: 4, Rejected: 5, LastHeard: at, Mended: 6, RoundTrip: 8 * time.Millisecond})
	if diff := cmp.Diff(&nodev1.Peer{Node: "3:330112", Name: "浙江省杭州市临安区", Unsettled: 3, OldestSeconds: 90, Settled: 4, Rejected: 5, LastHeardAt: timestamppb.New(at), Mended: 6, RoundTripMs: 8}, peer, protocmp.Transform()); diff != "" {
		t.Errorf("peer:\n%s", diff)
	}
	entry := entryMessage(desk.DirectoryView{Serial: 7, Node: cases.NodeID(linan), Name: "临安", Areas: []area.Key{linan}, Keys: []string{"sign:00"}, Speaks: 1})
	if diff := cmp.Diff(&nodev1.DirectoryEntry{Serial: 7, Node: "3:330112", Name: "临安", Areas: []string{"3:330112"}, Keys: []string{"sign:00"}, Speaks: 1}, entry, protocmp.Transform()); diff != "" {
		t.Errorf("directory entry:\n%s", diff)
	}
	fold := foldMessage(desk.FoldView{Case: idA, X: xishui, Y: linan, Set: idA, Fold: consentB, Items: 4})
	if diff := cmp.Diff(&nodev1.FoldDigest{CaseId: hexA, X: "4:520330001", Y: "3:330112", Set: hexA, Fold: hexB, Items: 4}, fold, protocmp.Transform()); diff != "" {
		t.Errorf("fold:\n%s", diff)
	}
	node := nodeMessage(desk.NodeView{Node: cases.NodeID(linan), Version: "v", BrokerConnected: true, Serial: 2, Cases: 3, Now: at})
	if diff := cmp.Diff(&nodev1.GetNodeResponse{Node: "3:330112", Name: "浙江省杭州市临安区", Version: "v", BrokerConnected: true, DirectorySerial: 2, Cases: 3, Now: timestamppb.New(at)}, node, protocmp.Transform()); diff != "" {
		t.Errorf("node:\n%s", diff)
	}
}
