package rpc

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/policy"
)

const (
	hexA = "0123456789abcdef0123456789abcdef"
	hexB = "00112233445566778899aabbccddeeff"
)

var (
	idA, _      = cases.ParseCaseID(hexA)
	consentB, _ = cases.ParseConsentID(hexB)
	xishui      = area.MustOf(area.Township, "520330001")
	linan       = area.MustOf(area.County, "330112")
)

func openSample() *casesv1.OpenCaseRequest {
	return &casesv1.OpenCaseRequest{
		RequestId: "request-1", Kind: casesv1.Kind_KIND_OUTFLOW, Origin: "520330001", Destination: "3:330112", Urgent: true,
		CertificateAskedOn: "2026-10-01", CertificateIssuedOn: "20261002",
		Fields: &casesv1.Fields{
			Name: "测试甲", Document: "11010519491231002X", Sex: 2, BirthDate: "1949-12-31", Contact: "13800000000", ContactSafe: true,
			EventDate: "2026-09-30", Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_CONSENT, ConsentId: hexB},
			ConfirmConsentId: hexB, Request: "一行\n二行", Certificate: "证0001",
		},
	}
}

func TestOpenRequest(t *testing.T) {
	got, err := openRequest(openSample())
	if err != nil {
		t.Fatal(err)
	}
	asked, issued, birth := civil.MustParse("2026-10-01"), civil.MustParse("2026-10-02"), civil.MustParse("1949-12-31")
	want := desk.OpenRequest{
		RequestID: "request-1", Kind: cases.Outflow, Origin: xishui, Destination: linan, Urgent: true, CertificateAsked: &asked, CertificateIssued: &issued,
		Fields: desk.FieldsInput{
			Name: "测试甲", Document: "11010519491231002X", Sex: 2, Birth: &birth, Contact: "13800000000", ContactSafe: true,
			EventDay: civil.MustParse("2026-09-30"), Basis: desk.BasisInput{Kind: cases.BasisConsent, Consent: consentB},
			Confirm: consentB, Request: "一行\n二行", Certificate: "证0001",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnswerRequest(t *testing.T) {
	got, err := answerRequest(&casesv1.AnswerCaseRequest{
		RequestId: "request-2", Ref: &casesv1.CaseRef{CaseId: hexA, Etag: "e1"},
		Answer: &casesv1.Answer{
			Outcome: casesv1.Outcome_OUTCOME_UNREACHABLE, Area: "330112", DuplicateOf: hexA, Attempts: 3, Channels: []string{"visit", "phone"},
			ConflictFields: []string{"name"}, Reason: "r", Check: "call", Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST}, TrueReason: "withheld",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := desk.AnswerRequest{RequestID: "request-2", Ref: desk.CaseRef{Case: idA, Etag: "e1"}, Answer: desk.AnswerInput{
		Outcome: cases.Unreachable, Area: linan, DuplicateOf: idA, Attempts: 3, Channels: []string{"visit", "phone"}, ConflictFields: []string{"name"},
		Reason: "r", Check: "call", Basis: desk.BasisInput{Kind: cases.BasisRequest}, TrueReason: "withheld",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every decoding error names its field and reason, and speaks Chinese.
func TestRefusals(t *testing.T) {
	openWith := func(change func(*casesv1.OpenCaseRequest)) func() error {
		return func() error {
			r := openSample()
			change(r)
			_, err := openRequest(r)
			return err
		}
	}
	ref := &casesv1.CaseRef{CaseId: hexA, Etag: "e1"}
	for _, tt := range []struct {
		name          string
		do            func() error
		field, reason string
	}{
		{"no request id", openWith(func(r *casesv1.OpenCaseRequest) { r.RequestId = "" }), "request_id", "REQUEST_ID"},
		{"short request id", openWith(func(r *casesv1.OpenCaseRequest) { r.RequestId = "1234567" }), "request_id", "REQUEST_ID"},
		{"long request id", openWith(func(r *casesv1.OpenCaseRequest) { r.RequestId = strings.Repeat("x", 65) }), "request_id", "REQUEST_ID"},
		{"request id of two lines", openWith(func(r *casesv1.OpenCaseRequest) { r.RequestId = "1234\n5678" }), "request_id", "REQUEST_ID"},
		{"no kind", openWith(func(r *casesv1.OpenCaseRequest) { r.Kind = 0 }), "kind", "FIELD_REQUIRED"},
		{"unknown kind", openWith(func(r *casesv1.OpenCaseRequest) { r.Kind = 6 }), "kind", "VALUE_UNKNOWN"},
		{"negative kind", openWith(func(r *casesv1.OpenCaseRequest) { r.Kind = -1 }), "kind", "VALUE_UNKNOWN"},
		{"kind beyond a byte", openWith(func(r *casesv1.OpenCaseRequest) { r.Kind = 257 }), "kind", "VALUE_UNKNOWN"},
		{"bad origin", openWith(func(r *casesv1.OpenCaseRequest) { r.Origin = "5203300010" }), "origin", "AREA_CODE"},
		{"no destination", openWith(func(r *casesv1.OpenCaseRequest) { r.Destination = "" }), "destination", "FIELD_REQUIRED"},
		{"bad level", openWith(func(r *casesv1.OpenCaseRequest) { r.Destination = "7:330112" }), "destination", "AREA_LEVEL"},
		{"no fields", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields = nil }), "fields", "FIELD_REQUIRED"},
		{"bad date", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.EventDate = "2026-02-30" }), "fields.event_date", "DATE_IMPOSSIBLE"},
		{"bad birth", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.BirthDate = "1990年" }), "fields.birth_date", "DATE_FORMAT"},
		{"bad certificate day", openWith(func(r *casesv1.OpenCaseRequest) { r.CertificateAskedOn = "x" }), "certificate_asked_on", "DATE_FORMAT"},
		{"bad sex", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.Sex = 3 }), "fields.sex", "SEX_CODE"},
		{"long name", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.Name = strings.Repeat("测", maxName+1) }), "fields.name", "TEXT_TOO_LONG"},
		{"name with zero", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.Name = "测\x00试" }), "fields.name", "TEXT_CONTROL"},
		{"bad consent", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.Basis.ConsentId = "12" }), "fields.basis.consent_id", "ID_FORMAT"},
		{"consent of a request", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.Basis.Kind = casesv1.BasisKind_BASIS_KIND_REQUEST }), "fields.basis.consent_id", "BASIS_MIXED"},
		{"duty of a consent", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.Basis.Duty = "duty:x" }), "fields.basis.duty", "BASIS_MIXED"},
		{"bad confirmation", openWith(func(r *casesv1.OpenCaseRequest) { r.Fields.ConfirmConsentId = "zz" }), "fields.confirm_consent_id", "ID_FORMAT"},

		{"no reference", func() error { _, err := pairRequest(&casesv1.PairCaseRequest{RequestId: "request-1"}); return err }, "ref.case_id", "FIELD_REQUIRED"},
		{"no etag", func() error {
			_, err := changeRequest(&casesv1.CloseCaseRequest{RequestId: "request-1", Ref: &casesv1.CaseRef{CaseId: hexA}})
			return err
		}, "ref.etag", "FIELD_REQUIRED"},
		{"bad case", func() error {
			_, err := changeRequest(&casesv1.WithdrawCaseRequest{RequestId: "request-1", Ref: &casesv1.CaseRef{CaseId: hexA + "00", Etag: "e"}})
			return err
		}, "ref.case_id", "ID_FORMAT"},
		{"long reason", func() error {
			_, err := changeRequest(&casesv1.DisputeCaseRequest{RequestId: "request-1", Ref: ref, Reason: strings.Repeat("x", maxText+1)})
			return err
		}, "reason", "TEXT_TOO_LONG"},
		{"no answer", func() error {
			_, err := answerRequest(&casesv1.AnswerCaseRequest{RequestId: "request-1", Ref: ref})
			return err
		}, "answer", "FIELD_REQUIRED"},
		{"no outcome", func() error {
			_, err := answerRequest(&casesv1.AnswerCaseRequest{RequestId: "request-1", Ref: ref, Answer: &casesv1.Answer{}})
			return err
		}, "answer.outcome", "FIELD_REQUIRED"},
		{"many channels", func() error {
			_, err := answerRequest(&casesv1.AnswerCaseRequest{RequestId: "request-1", Ref: ref, Answer: &casesv1.Answer{Outcome: 7, Channels: make([]string, maxList+1)}})
			return err
		}, "answer.channels", "TOO_MANY"},
		{"no new destination", func() error {
			_, err := rerouteRequest(&casesv1.RerouteCaseRequest{RequestId: "request-1", Ref: ref})
			return err
		}, "destination", "FIELD_REQUIRED"},
		{"correction without fields", func() error {
			_, err := correctRequest(&casesv1.CorrectCaseRequest{RequestId: "request-1", Ref: ref})
			return err
		}, "fields", "FIELD_REQUIRED"},
		{"offer without a day", func() error {
			_, err := offerRequest(&casesv1.RecordOfferRequest{RequestId: "request-1", Ref: ref, OfferRound: 20261, Result: "done"})
			return err
		}, "date", "FIELD_REQUIRED"},
		{"nameless finding", func() error {
			_, err := offerRequest(&casesv1.RecordOfferRequest{RequestId: "request-1", Ref: ref, Result: "done", Date: "2026-11-01", Findings: map[string]string{"": "x"}})
			return err
		}, "findings", "FIELD_REQUIRED"},
		{"bad page size", func() error { _, err := listRequest(&casesv1.ListCasesRequest{PageSize: -1}); return err }, "page_size", "PAGE_SIZE"},
		{"bad time", func() error {
			_, err := listRequest(&casesv1.ListCasesRequest{DueBefore: &timestamppb.Timestamp{Nanos: -1}})
			return err
		}, "due_before", "TIME_INVALID"},
		{"bad state", func() error {
			_, err := listRequest(&casesv1.ListCasesRequest{States: []casesv1.State{1, 9}})
			return err
		}, "states", "VALUE_UNKNOWN"},
		{"nobody's consent", func() error {
			_, err := consentRequest(&consentv1.RecordConsentRequest{RequestId: "request-1"})
			return err
		}, "person.person_id", "FIELD_REQUIRED"},
		{"consent without content", func() error {
			_, err := consentRequest(&consentv1.RecordConsentRequest{RequestId: "request-1", Person: &consentv1.Person{PersonId: hexA}})
			return err
		}, "consent", "FIELD_REQUIRED"},
		{"consent without text", func() error {
			_, err := consentRequest(&consentv1.RecordConsentRequest{RequestId: "request-1", Person: &consentv1.Person{PersonId: hexA},
				Consent: &consentv1.Consent{Recipient: "330112", Purpose: "notice", TextVersion: "v1", GivenHow: "paper"}})
			return err
		}, "consent.text_sha256", "FIELD_REQUIRED"},
		{"consent with a bad hash", func() error {
			_, err := consentRequest(&consentv1.RecordConsentRequest{RequestId: "request-1", Person: &consentv1.Person{PersonId: hexA},
				Consent: &consentv1.Consent{Recipient: "330112", Purpose: "notice", TextVersion: "v1", GivenHow: "paper", TextSha256: "abcd"}})
			return err
		}, "consent.text_sha256", "HASH_FORMAT"},
		{"no consent to withdraw", func() error {
			_, _, err := withdrawConsentRequest(&consentv1.WithdrawConsentRequest{RequestId: "request-1"})
			return err
		}, "consent_id", "FIELD_REQUIRED"},
		{"unknown measure", func() error {
			_, err := ratesRequest(&ratesv1.GetRatesRequest{Period: "2026-11", Measures: []ratesv1.Measure{99}}, policy.ParsePeriod)
			return err
		}, "measures", "VALUE_UNKNOWN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, ok := fault.As(tt.do())
			if !ok {
				t.Fatal("not refused")
			}
			if f.Kind != fault.KindInvalid || f.Field != tt.field || f.Reason != tt.reason {
				t.Errorf("%s %s on %q, want %s on %q", f.Kind, f.Reason, f.Field, tt.reason, tt.field)
			}
			if f.Text == "" || len(f.Text) == utf8.RuneCountInString(f.Text) {
				t.Errorf("text %q is not Chinese", f.Text)
			}
		})
	}
}

// What cannot be read is refused alone, and results keep their places.
func TestBatch(t *testing.T) {
	odd := errors.New("odd")
	decode := func(n int) (int, error) {
		if n%2 == 1 {
			return 0, odd
		}
		return n * 10, nil
	}
	refused := func(_ int, err error) string { return err.Error() }
	calls := 0
	do := func(qs []int) ([]string, error) {
		calls++
		var rs []string
		for _, q := range qs {
			rs = append(rs, strings.Repeat("x", q/10))
		}
		return rs, nil
	}
	got, err := batch([]int{1, 2, 3, 4}, decode, do, refused)
	if diff := cmp.Diff([]string{"odd", "xx", "odd", "xxxx"}, got); diff != "" || err != nil || calls != 1 {
		t.Errorf("%v %d calls\n%s", err, calls, diff)
	}
	if got, err := batch([]int{1}, decode, do, refused); err != nil || got[0] != "odd" || calls != 1 {
		t.Errorf("only odd: %v, %v, %d calls", got, err, calls)
	}
	if _, err := batch(make([]int, 1001), decode, do, refused); !fault.Is(err, fault.KindInvalid) || calls != 1 {
		t.Errorf("1,001 rows: %v", err)
	}
	if got, err := batch(make([]int, 1000), decode, do, refused); err != nil || len(got) != 1000 {
		t.Errorf("1,000 rows: %v", err)
	}
	if _, err := batch([]int{2}, decode, func([]int) ([]string, error) { return nil, nil }, refused); !fault.Is(err, fault.KindInternal) {
		t.Errorf("results missing: %v", err)
	}
}

// FuzzRequests feeds bytes to every request that is decoded. Nothing panics,
// and what is refused is Invalid, names a field and speaks Chinese.
func FuzzRequests(f *testing.F) {
	for i, m := range []proto.Message{openSample(),
		&casesv1.AnswerCaseRequest{RequestId: "request-1", Ref: &casesv1.CaseRef{CaseId: hexA, Etag: "e"}, Answer: &casesv1.Answer{Outcome: 4, Area: "520330001"}},
		&casesv1.ListCasesRequest{States: []casesv1.State{1, 2}, DueBefore: timestamppb.Now(), Office: "3:520330"},
		&consentv1.RecordConsentRequest{RequestId: "request-1", Person: &consentv1.Person{Document: "x"}, Consent: &consentv1.Consent{TextSha256: "00"}},
		&ratesv1.GetRatesRequest{Measures: []ratesv1.Measure{1, 2}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	decoders := []func([]byte) error{
		fuzzed(openRequest), fuzzed(answerRequest), fuzzed(listRequest), fuzzed(consentRequest),
		fuzzed(func(r *ratesv1.GetRatesRequest) (figures.Query, error) { return ratesRequest(r, policy.ParsePeriod) }),
		fuzzed(getRequest), fuzzed(pairRequest), fuzzed(correctRequest), fuzzed(rerouteRequest), fuzzed(offerRequest), fuzzed(consentsRequest),
		fuzzed(func(r *casesv1.ReopenCaseRequest) (desk.ChangeRequest, error) { return changeRequest(r) }),
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		err := decoders[int(which)%len(decoders)](b)
		if err == nil {
			return
		}
		x, ok := fault.As(err)
		if !ok || x.Kind != fault.KindInvalid || x.Reason == "" || x.Field == "" || x.Text == "" {
			t.Errorf("refused with %#v", err)
		}
	})
}

// fuzzed unmarshals M from bytes and decodes it; bytes that are no such message
// never reach a decoder.
func fuzzed[T any, M interface {
	*T
	proto.Message
}, Q any](decode func(M) (Q, error)) func([]byte) error {
	return func(b []byte) error {
		m := M(new(T))
		if err := proto.Unmarshal(b, m); err != nil {
			return nil //nolint:nilerr // gRPC answers these itself
		}
		_, err := decode(m)
		return err
	}
}
