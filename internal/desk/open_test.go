package desk_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ledger"
)

// tctx serves helpers that are plain functions; tests bound themselves.
var tctx = context.Background()

func day(s string) *civil.Date {
	d := civil.MustParse(s)
	return &d
}

// TestOpenRefuses holds every wrong opening against a desk with cases and
// consents: a clear error, and nothing changed, alone and inside a batch.
func TestOpenRefuses(t *testing.T) {
	b := newBureau(t, true)
	d, p := b.at(here), clerk(here)
	b.open(b.notice(1, there))
	fit := b.consents(here, 2, ledger.PurposeNotice, there)
	gone := b.consents(here, 2, ledger.PurposeNotice, there)
	if _, _, err := d.WithdrawConsent(t.Context(), p, b.request(), gone.ID); err != nil {
		t.Fatal(err)
	}
	confirm := b.consents(here, 2, ledger.PurposeConfirm, there)
	foreign := b.consents(there, 2, ledger.PurposeNotice, there)
	old := b.consent(here, 2, ledger.PurposeNotice, there)
	old.Consent.GivenAt = b.Clock.Now().AddDate(-1, 0, 0)
	old.Consent.ValidUntil = b.Clock.Now().AddDate(0, 0, -1)
	expired, err := d.RecordConsent(t.Context(), p, old)
	if err != nil {
		t.Fatal(err)
	}
	taken := b.notice(3, there)
	b.open(taken)
	cite := func(c desk.Consent) func(*desk.OpenRequest) {
		return func(r *desk.OpenRequest) {
			r.Fields.Document = person(2)
			r.Fields.Basis = desk.BasisInput{Kind: cases.BasisConsent, Consent: c.ID}
		}
	}
	good := b.notice(2, there)
	cite(fit)(&good)
	if _, _, err := d.OpenCase(t.Context(), p, good); err != nil {
		t.Fatalf("the consent that fits: %v", err)
	}
	before := b.marks(here)
	for _, tt := range []struct {
		name   string
		change func(*desk.OpenRequest)
		kind   fault.Kind
		reason string
		field  string
	}{
		{"no request id", func(r *desk.OpenRequest) { r.RequestID = "" }, fault.KindInvalid, "REQUEST_ID", "request_id"},
		{"a long request id", func(r *desk.OpenRequest) { r.RequestID = strings.Repeat("x", 65) }, fault.KindInvalid, "REQUEST_ID", "request_id"},
		{"a used request id", func(r *desk.OpenRequest) { r.RequestID = taken.RequestID }, fault.KindConflict, "REQUEST_ID_REUSED", "request_id"},
		{"no kind", func(r *desk.OpenRequest) { r.Kind = 0 }, fault.KindInvalid, "CASE_KIND", "kind"},
		{"an unknown kind", func(r *desk.OpenRequest) { r.Kind = 99 }, fault.KindInvalid, "CASE_KIND", "kind"},
		{"a foreign office", func(r *desk.OpenRequest) { r.Origin = there }, fault.KindDenied, "FOREIGN_OFFICE", "origin"},
		{"the county above", func(r *desk.OpenRequest) { r.Origin = origin }, fault.KindDenied, "FOREIGN_OFFICE", "origin"},
		{"an unknown destination", func(r *desk.OpenRequest) { r.Destination = area.MustOf(area.Township, "330782999") }, fault.KindInvalid, "AREA_UNKNOWN", "destination"},
		{"no destination", func(r *desk.OpenRequest) { r.Destination = 0 }, fault.KindInvalid, "AREA_UNKNOWN", "destination"},
		{"a province", func(r *desk.OpenRequest) { r.Destination = area.MustOf(area.Province, "33") }, fault.KindInvalid, "AREA_LEVEL", "destination"},
		{"no movement", func(r *desk.OpenRequest) { r.Destination = here }, fault.KindInvalid, "NO_MOVEMENT", "destination"},
		{"no name", func(r *desk.OpenRequest) { r.Fields.Name = "  " }, fault.KindInvalid, "REQUIRED", "fields.name"},
		{"an endless name", func(r *desk.OpenRequest) { r.Fields.Name = strings.Repeat("测", 61) }, fault.KindInvalid, "NAME_LENGTH", "fields.name"},
		{"a short document", func(r *desk.OpenRequest) { r.Fields.Document = "5203301990" }, fault.KindInvalid, "ID_FORMAT", "fields.document"},
		{"a dummy document", func(r *desk.OpenRequest) { r.Fields.Document = "000000000000000000" }, fault.KindInvalid, "ID_DUMMY", "fields.document"},
		{"the date as number", func(r *desk.OpenRequest) { r.Fields.Document = "000000199001010000" }, fault.KindInvalid, "ID_DUMMY", "fields.document"},
		{"another birth date", func(r *desk.OpenRequest) { r.Fields.Birth = day("1970-01-01") }, fault.KindInvalid, "BIRTH_MISMATCH", "fields.birth_date"},
		{"no such sex", func(r *desk.OpenRequest) { r.Fields.Sex = 5 }, fault.KindInvalid, "SEX_CODE", "fields.sex"},
		{"no date", func(r *desk.OpenRequest) { r.Fields.EventDay = civil.Date{} }, fault.KindInvalid, "REQUIRED", "fields.event_date"},
		{"tomorrow", func(r *desk.OpenRequest) { r.Fields.EventDay = civil.MustParse("2026-11-21") }, fault.KindInvalid, "FUTURE_DATE", "fields.event_date"},
		{"before birth", func(r *desk.OpenRequest) { r.Fields.EventDay = civil.MustParse("1980-01-01") }, fault.KindInvalid, "EVENT_BEFORE_BIRTH", "fields.event_date"},
		{"an endless contact", func(r *desk.OpenRequest) { r.Fields.Contact = strings.Repeat("1", 41) }, fault.KindInvalid, "CONTACT_LENGTH", "fields.contact"},
		{"no basis", func(r *desk.OpenRequest) { r.Fields.Basis = desk.BasisInput{} }, fault.KindInvalid, "NO_BASIS", "fields.basis"},
		{"an unknown duty", func(r *desk.OpenRequest) { r.Fields.Basis = desk.BasisInput{Kind: cases.BasisDuty, Duty: "none-such"} }, fault.KindInvalid, "BASIS_NOT_IN_FORCE", "fields.basis.duty"},
		{"no consent", func(r *desk.OpenRequest) { r.Fields.Basis = desk.BasisInput{Kind: cases.BasisConsent} }, fault.KindInvalid, "CONSENT_UNKNOWN", "fields.basis.consent_id"},
		{"an unknown consent", cite(desk.Consent{ID: cases.ConsentID{9}}), fault.KindInvalid, "CONSENT_UNKNOWN", "fields.basis.consent_id"},
		{"a foreign consent", cite(foreign), fault.KindInvalid, "CONSENT_UNKNOWN", "fields.basis.consent_id"},
		{"a withdrawn consent", cite(gone), fault.KindInvalid, "CONSENT_WITHDRAWN", "fields.basis.consent_id"},
		{"an expired consent", cite(expired), fault.KindInvalid, "CONSENT_SCOPE", "fields.basis.consent_id"},
		{"a consent to something else", cite(confirm), fault.KindInvalid, "CONSENT_SCOPE", "fields.basis.consent_id"},
		{"a consent towards elsewhere", func(r *desk.OpenRequest) { cite(fit)(r); r.Destination = yonder }, fault.KindInvalid, "CONSENT_SCOPE", "fields.basis.consent_id"},
		{"another person's consent", func(r *desk.OpenRequest) { cite(fit)(r); r.Fields.Document = person(3) }, fault.KindInvalid, "CONSENT_PERSON", "fields.basis.consent_id"},
		{"a stranger's consent", func(r *desk.OpenRequest) { cite(fit)(r); r.Fields.Document = person(77) }, fault.KindInvalid, "CONSENT_PERSON", "fields.basis.consent_id"},
		{"nobody's consent", func(r *desk.OpenRequest) { cite(fit)(r); r.Fields.Document = "" }, fault.KindInvalid, "CONSENT_PERSON", "fields.basis.consent_id"},
		{"another person's confirmation", func(r *desk.OpenRequest) { r.Fields.Confirm = confirm.ID }, fault.KindInvalid, "CONSENT_PERSON", "fields.confirm_consent_id"},
		{"a notice's consent as confirmation", func(r *desk.OpenRequest) { r.Fields.Document, r.Fields.Confirm = person(2), fit.ID }, fault.KindInvalid, "CONSENT_SCOPE", "fields.confirm_consent_id"},
		{"assistance without a request", func(r *desk.OpenRequest) { r.Kind = cases.Assist }, fault.KindInvalid, "REQUIRED", "fields.request"},
		{"an endless request", func(r *desk.OpenRequest) { r.Kind, r.Fields.Request = cases.Assist, strings.Repeat("请", 301) }, fault.KindInvalid, "TEXT_LENGTH", "fields.request"},
		{"a check of no certificate", func(r *desk.OpenRequest) { r.Kind = cases.Certificate }, fault.KindInvalid, "REQUIRED", "fields.certificate"},
		{"issued before asked", func(r *desk.OpenRequest) {
			r.CertificateAsked, r.CertificateIssued = day("2026-11-02"), day("2026-11-01")
		}, fault.KindInvalid, "CERTIFICATE_DATES", "certificate_issued_on"},
		{"issued, never asked", func(r *desk.OpenRequest) { r.CertificateIssued = day("2026-11-01") }, fault.KindInvalid, "CERTIFICATE_DATES", "certificate_issued_on"},
		{"asked tomorrow", func(r *desk.OpenRequest) { r.CertificateAsked = day("2026-11-21") }, fault.KindInvalid, "FUTURE_DATE", "certificate_asked_on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := b.notice(9, there)
			tt.change(&r)
			_, _, err := d.OpenCase(t.Context(), p, r)
			refused(t, err, tt.kind, tt.reason, tt.field)
			got, err := d.OpenCases(t.Context(), p, []desk.OpenRequest{r})
			if err != nil || len(got) != 1 {
				t.Fatalf("batch: %v", err)
			}
			refused(t, got[0].Err, tt.kind, tt.reason, tt.field)
			if !got[0].Case.IsZero() {
				t.Error("a refused opening names a case")
			}
			if diff := cmp.Diff(before, b.marks(here)); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
}

func TestOpenRefusesRoles(t *testing.T) {
	b := newBureau(t, true)
	before := b.marks(here)
	for _, role := range access.Roles() {
		if role == access.Clerk || role == access.Service {
			continue
		}
		_, _, err := b.at(here).OpenCase(t.Context(), harness.Clerk(role, here), b.notice(1, there))
		refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
		_, err = b.at(here).OpenCases(t.Context(), harness.Clerk(role, here), []desk.OpenRequest{b.notice(1, there)})
		refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	}
	_, _, err := b.at(here).OpenCase(t.Context(), harness.Clerk(access.Clerk), b.notice(1, there))
	refused(t, err, fault.KindDenied, "FOREIGN_OFFICE", "origin")
	r := b.notice(1, there)
	r.Origin = 0
	_, _, err = b.at(here).OpenCase(t.Context(), clerk(here, there), r)
	refused(t, err, fault.KindInvalid, "OFFICE_REQUIRED", "origin")
	if diff := cmp.Diff(before, b.marks(here)); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
	raw := b.raw(here)
	got := fmt.Sprint(raw.Rows(t, `SELECT count(*) FROM access_log WHERE denied`)[0]...)
	if want := fmt.Sprint((len(access.Roles())-2)*2 + 1); got != want {
		t.Errorf("%s denials recorded, want %s", got, want)
	}
}

func TestOpenBatch(t *testing.T) {
	b := newBureau(t, true)
	d, p := b.at(here), clerk(here)
	before := b.marks(here)
	_, err := d.OpenCases(t.Context(), p, make([]desk.OpenRequest, desk.MaxBatch+1))
	refused(t, err, fault.KindInvalid, "BATCH_TOO_LARGE", "")
	if diff := cmp.Diff(before, b.marks(here)); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
	if got, err := d.OpenCases(t.Context(), p, nil); err != nil || len(got) != 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
	rs := []desk.OpenRequest{b.notice(1, there), b.notice(2, there), b.notice(3, there), b.notice(1, beside)}
	rs[1].Fields.Basis = desk.BasisInput{}
	rs[2].RequestID = rs[0].RequestID
	rs[3].Kind = cases.Inflow
	got, err := d.OpenCases(t.Context(), p, rs)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Err != nil || got[3].Err != nil || got[0].Repeated {
		t.Errorf("good ones: %v, %v", got[0].Err, got[3].Err)
	}
	refused(t, got[1].Err, fault.KindInvalid, "NO_BASIS", "fields.basis")
	refused(t, got[2].Err, fault.KindInvalid, "REQUEST_ID_REUSED", "request_id")
	raw := b.raw(here)
	if n := fmt.Sprint(raw.Rows(t, `SELECT (SELECT count(*) FROM leg), (SELECT count(*) FROM person), (SELECT count(*) FROM item)`)[0]...); n != "2 1 2" {
		t.Errorf("legs, persons, items: %s; want 2 1 2: two notices about one person", n)
	}
	again, err := d.OpenCases(t.Context(), p, rs[:1])
	if err != nil || !again[0].Repeated || again[0].Case != got[0].Case {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestOpenWarns(t *testing.T) {
	b := newBureau(t, true)
	r := b.notice(1, there)
	digit := r.Fields.Document[17]
	wrong := byte('0')
	if digit == wrong {
		wrong = '1'
	}
	r.Fields.Document = r.Fields.Document[:17] + string(wrong)
	_, _, err := b.at(here).OpenCase(t.Context(), clerk(here), r)
	refused(t, err, fault.KindInvalid, "ID_CHECK_DIGIT", "fields.document")
	r.Fields.DocumentConfirmed = "与证件原件一致"
	v, warnings, err := b.at(here).OpenCase(t.Context(), clerk(here), r)
	if err != nil || len(warnings) == 0 {
		t.Fatalf("a wrong check digit: warnings %v, %v", warnings, err)
	}
	why := b.raw(here).Rows(t, `SELECT purpose FROM access_log WHERE verb = 'case.open'`)
	if len(why) != 1 || why[0][0] != r.Fields.DocumentConfirmed {
		t.Errorf("recorded %v, want the reason once", why)
	}
	if v.Fields == nil || v.Subject != "测某（1990年生）" || v.Side != cases.SideOpener {
		t.Errorf("view: %+v", v)
	}
	r = b.notice(2, there)
	r.Fields.Sex = 1
	if _, warnings, err = b.at(here).OpenCase(t.Context(), clerk(here), r); err != nil {
		t.Fatal(err)
	}
	r = b.notice(3, there)
	r.Fields.Sex = 1
	_, more, err := b.at(here).OpenCase(t.Context(), clerk(here), r)
	if err != nil || len(warnings)+len(more) == 0 {
		t.Errorf("one of two sexes must disagree: %v %v, %v", warnings, more, err)
	}
}

// TestOpenRepeatedAtOnce sends one request from several callers at once: one
// case, the same for all.
func TestOpenRepeatedAtOnce(t *testing.T) {
	b := newBureau(t, true)
	d, p := b.at(here), clerk(here)
	r := b.notice(1, there)
	const callers = 8
	ids, errs := make([]cases.CaseID, callers), make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			if i%2 == 0 {
				var v desk.CaseView
				v, _, errs[i] = d.OpenCase(t.Context(), p, r)
				ids[i] = v.ID
				return
			}
			got, err := d.OpenCases(t.Context(), p, []desk.OpenRequest{r})
			if errs[i] = err; err == nil {
				ids[i], errs[i] = got[0].Case, got[0].Err
			}
		})
	}
	wg.Wait()
	for i := range callers {
		if errs[i] != nil || ids[i] != ids[0] {
			t.Errorf("caller %d: %s, %v", i, ids[i], errs[i])
		}
	}
	raw := b.raw(here)
	if n := fmt.Sprint(raw.Rows(t, `SELECT (SELECT count(*) FROM leg), (SELECT count(*) FROM person), (SELECT count(*) FROM item)`)[0]...); n != "1 1 1" {
		t.Errorf("legs, persons, items: %s", n)
	}
	r.Fields.Name = "示例一"
	_, _, err := d.OpenCase(t.Context(), p, r)
	refused(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
}

// TestOpenWhileOthersRegister lets many openings of the same few people race:
// each person stands once.
func TestOpenWhileOthersRegister(t *testing.T) {
	b := newBureau(t, true)
	d, p := b.at(here), clerk(here)
	rs := make([]desk.OpenRequest, 24)
	for i := range rs {
		rs[i] = b.notice(i%3, there)
		rs[i].Kind = cases.Inflow // of which several may wait
	}
	errs := make([]error, len(rs))
	var wg sync.WaitGroup
	for i := range rs {
		wg.Go(func() { _, _, errs[i] = d.OpenCase(t.Context(), p, rs[i]) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("opening %d: %v", i, err)
		}
	}
	raw := b.raw(here)
	if n := fmt.Sprint(raw.Rows(t, `SELECT (SELECT count(*) FROM leg), (SELECT count(*) FROM person), (SELECT count(DISTINCT person) FROM case_side WHERE side = 1)`)[0]...); n != "24 3 3" {
		t.Errorf("legs, persons, persons of sides: %s", n)
	}
}

func TestConsentRefuses(t *testing.T) {
	b := newBureau(t, true)
	d, p := b.at(here), clerk(here)
	stands := b.consent(here, 1, ledger.PurposeConfirm, there)
	c, err := d.RecordConsent(t.Context(), p, stands)
	if err != nil {
		t.Fatal(err)
	}
	foreign := b.consents(there, 1, ledger.PurposeConfirm, there)
	before := b.marks(here)
	now := b.Clock.Now()
	for _, tt := range []struct {
		name   string
		change func(*desk.ConsentRequest)
		kind   fault.Kind
		reason string
		field  string
	}{
		{"no request id", func(r *desk.ConsentRequest) { r.RequestID = "" }, fault.KindInvalid, "REQUEST_ID", "request_id"},
		{"a used request id", func(r *desk.ConsentRequest) { r.RequestID = stands.RequestID }, fault.KindConflict, "REQUEST_ID_REUSED", "request_id"},
		{"a foreign office", func(r *desk.ConsentRequest) { r.Office = there }, fault.KindDenied, "FOREIGN_OFFICE", "office"},
		{"an unknown purpose", func(r *desk.ConsentRequest) { r.Consent.Purpose = "research" }, fault.KindInvalid, "PURPOSE", "consent.purpose"},
		{"no way", func(r *desk.ConsentRequest) { r.Consent.GivenHow = "" }, fault.KindInvalid, "GIVEN_HOW", "consent.given_how"},
		{"no text", func(r *desk.ConsentRequest) { r.Consent.TextHash = [32]byte{} }, fault.KindInvalid, "TEXT", "consent.text_sha256"},
		{"feedback of nothing", func(r *desk.ConsentRequest) { r.Consent.Purpose = ledger.PurposeFeedback }, fault.KindInvalid, "FIELDS_REQUIRED", "consent.fields"},
		{"feedback of something unheard of", func(r *desk.ConsentRequest) {
			r.Consent.Purpose, r.Consent.Fields = ledger.PurposeFeedback, []string{"fetal_sex"}
		}, fault.KindInvalid, "FIELD_NAME", "consent.fields"},
		{"given tomorrow", func(r *desk.ConsentRequest) { r.Consent.GivenAt = now.AddDate(0, 0, 1) }, fault.KindInvalid, "FUTURE_DATE", "consent.given_at"},
		{"for two years", func(r *desk.ConsentRequest) { r.Consent.ValidUntil = now.AddDate(2, 0, 0) }, fault.KindInvalid, "VALIDITY", "consent.valid_until"},
		{"for no time", func(r *desk.ConsentRequest) { r.Consent.GivenAt, r.Consent.ValidUntil = now, now.Add(-time.Hour) }, fault.KindInvalid, "VALIDITY", "consent.valid_until"},
		{"nowhere", func(r *desk.ConsentRequest) { r.Consent.Recipient = area.MustOf(area.Township, "330782999") }, fault.KindInvalid, "AREA_UNKNOWN", "consent.recipient"},
		{"nobody", func(r *desk.ConsentRequest) { r.Person = desk.PersonRef{ID: cases.PersonID{7}} }, fault.KindNotFound, "PERSON_NOT_FOUND", "person"},
		{"another office's person", func(r *desk.ConsentRequest) { r.Person = desk.PersonRef{ID: foreign.Person} }, fault.KindNotFound, "PERSON_NOT_FOUND", "person"},
		{"a nameless person", func(r *desk.ConsentRequest) { r.Person.Name = "" }, fault.KindInvalid, "REQUIRED", "person.name"},
		{"a dummy", func(r *desk.ConsentRequest) { r.Person.Document = "000000000000000000" }, fault.KindInvalid, "ID_DUMMY", "person.document"},
		{"endless text", func(r *desk.ConsentRequest) { r.Consent.TextVersion = strings.Repeat("x", 2000) }, fault.KindInvalid, "TEXT", "consent.text_version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := b.consent(here, 8, ledger.PurposeConfirm, there)
			tt.change(&r)
			_, err := d.RecordConsent(t.Context(), p, r)
			refused(t, err, tt.kind, tt.reason, tt.field)
			if diff := cmp.Diff(before, b.marks(here)); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
		})
	}
	for _, role := range access.Roles() {
		if role != access.Clerk && role != access.Service {
			_, err := d.RecordConsent(t.Context(), harness.Clerk(role, here), b.consent(here, 8, ledger.PurposeConfirm, there))
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
			_, _, err = d.WithdrawConsent(t.Context(), harness.Clerk(role, here), b.request(), c.ID)
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
			_, err = d.ListConsents(t.Context(), harness.Clerk(role, here), here, desk.PersonRef{ID: c.Person}, "test")
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
		}
	}
	_, _, err = d.WithdrawConsent(t.Context(), p, b.request(), foreign.ID)
	refused(t, err, fault.KindNotFound, "CONSENT_NOT_FOUND", "consent_id")
	_, _, err = d.WithdrawConsent(t.Context(), p, "", c.ID)
	refused(t, err, fault.KindInvalid, "REQUEST_ID", "request_id")
	_, _, err = d.WithdrawConsent(t.Context(), p, stands.RequestID, c.ID)
	refused(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
	_, err = d.ListConsents(t.Context(), p, here, desk.PersonRef{Document: person(55)}, "test")
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person")
	_, err = d.ListConsents(t.Context(), p, there, desk.PersonRef{ID: c.Person}, "test")
	refused(t, err, fault.KindDenied, "FOREIGN_OFFICE", "office")
	if diff := cmp.Diff(before, b.marks(here)); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
	again, err := d.RecordConsent(t.Context(), p, stands)
	if diff := cmp.Diff(c, again); err != nil || diff != "" {
		t.Errorf("the same request again: %v\n%s", err, diff)
	}
	all, err := d.ListConsents(t.Context(), p, here, desk.PersonRef{Document: person(1)}, "test")
	if err != nil || len(all) != 1 || all[0].ID != c.ID {
		t.Errorf("listed %d, %v", len(all), err)
	}
}

func TestOpenOfAnothersAreaIsRefused(t *testing.T) {
	b := newBureau(t, true)
	r := b.notice(1, here)
	far := area.Children(area.MustOf(area.County, "110101"))[0] // no node here serves it
	r.Origin = far
	_, _, err := b.at(here).OpenCase(t.Context(), clerk(far), r)
	refused(t, err, fault.KindInvalid, "ORIGIN_NOT_SERVED", "origin")
}
