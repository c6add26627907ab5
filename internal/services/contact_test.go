package services_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ledger"
	"yipan/internal/services"
	"yipan/internal/store/storetest"
)

func (b *bureau) try(who cases.PersonID, on string, reached bool) services.ContactInput {
	return services.ContactInput{RequestID: b.request(), Person: who, Date: day(on), Channel: "phone", Reached: reached, Purpose: "回访"}
}

func (b *bureau) agree(who cases.PersonID) cases.ConsentID {
	b.Helper()
	c, err := b.Desk.RecordConsent(b.Context(), clerk(there), desk.ConsentRequest{RequestID: b.request(), Person: desk.PersonRef{ID: who}, Consent: desk.Consent{
		Recipient: there, Purpose: ledger.PurposeContact, TextVersion: "v1", TextHash: [32]byte{1}, GivenHow: "paper",
	}})
	if err != nil {
		b.Fatal(err)
	}
	return c.ID
}

// TestContactLog: what is recorded is shown, once however often it is asked for,
// and each look is logged, misses too.
func TestContactLog(t *testing.T) {
	b := newBureau(t)
	who, other := b.register(there, 1), b.register(there, 2)
	b.agree(who)
	first := b.try(who, "2026-11-18", true)
	for range 2 {
		if err := b.Services.RecordContact(t.Context(), clerk(there), first); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Services.RecordContact(t.Context(), clerk(there), b.try(who, "2026-11-19", false)); err != nil {
		t.Fatal(err)
	}
	changed := first
	changed.Reached = false
	refused(t, b.Services.RecordContact(t.Context(), clerk(there), changed), fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
	tries, agreed, err := b.Services.ListContacts(t.Context(), clerk(there), who, "查看")
	if err != nil || !agreed {
		t.Fatal(agreed, err)
	}
	var got []string
	for _, x := range tries {
		got = append(got, fmt.Sprint(x.Date, x.Channel, x.Reached, x.By != ""))
	}
	if d := cmp.Diff([]string{fmt.Sprint(day("2026-11-19"), "phone", false, true), fmt.Sprint(day("2026-11-18"), "phone", true, true)}, got); d != "" {
		t.Error(d)
	}

	no := b.try(other, "2026-11-18", true)
	for range 2 { // answered alike again, though the person agrees by then
		refused(t, b.Services.RecordContact(t.Context(), clerk(there), no), fault.KindConflict, "NOT_AGREED", "person_id")
		b.agree(other)
	}
	if tries, _, err := b.Services.ListContacts(t.Context(), clerk(there), other, "查看"); err != nil || len(tries) != 0 {
		t.Errorf("%d tries of one who did not agree, %v", len(tries), err)
	}

	for _, field := range []struct {
		in    services.ContactInput
		code  string
		field string
	}{
		{b.try(who, "2026-11-21", true), "FUTURE_DATE", "contact.date"},
		{b.try(who, "2025-11-01", true), "DATE_RANGE", "contact.date"},
		{services.ContactInput{RequestID: b.request(), Person: who, Date: day("2026-11-18"), Channel: "dream"}, "CHANNEL_CODE", "contact.channel"},
	} {
		refused(t, b.Services.RecordContact(t.Context(), clerk(there), field.in), fault.KindInvalid, field.code, field.field)
	}
	refused(t, b.Services.RecordContact(t.Context(), harness.Clerk(access.County, county), b.try(who, "2026-11-18", true)), fault.KindDenied, "NOT_ALLOWED", "")
	_, _, err = b.Services.ListContacts(t.Context(), clerk(beside), who, "查看")
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")

	raw := storetest.Raw(t, b.url)
	defer raw.Close()
	if n := fmt.Sprint(raw.Rows(t, `SELECT count(*) FILTER (WHERE n = 1), count(*) FILTER (WHERE n = 0) FROM access_log WHERE verb LIKE 'contact.%'`)[0]...); n != "7 2" {
		t.Errorf("events of one person, and one miss and one denial: %s", n)
	}
	raw.Exec(t, `UPDATE person SET restricted = true`)
	_, _, err = b.Services.ListContacts(t.Context(), clerk(there), who, "查看")
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	refused(t, b.Services.RecordContact(t.Context(), clerk(there), b.try(who, "2026-11-18", true)), fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
}
