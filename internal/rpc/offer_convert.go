package rpc

import (
	"strings"

	"yipan/internal/cases"
	"yipan/internal/fault"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/services"
)

// maxDue is the most that one page of those due holds.
const maxDue = 200

func dueRequest(r *ledgerv1.ListOffersDueRequest) (services.DueRequest, error) {
	d := &decoder{}
	q := services.DueRequest{
		Office:    d.area("office", r.GetOffice()),
		Round:     r.GetOfferRound(),
		PageSize:  d.pageSize(r.GetPageSize(), maxDue),
		PageToken: d.text("page_token", r.GetPageToken(), maxToken),
		Purpose:   d.text("purpose", r.GetPurpose(), maxText),
	}
	return q, d.err
}

func dueMessage(l services.DueList) *ledgerv1.ListOffersDueResponse {
	m := &ledgerv1.ListOffersDueResponse{NextPageToken: l.Next, OfferRound: uint32(l.Round.Number), EndsAt: instantOf(l.Round.Ends)}
	for _, p := range l.Persons {
		m.Persons = append(m.Persons, dueSummary(p))
	}
	return m
}

func dueSummary(p people.Summary) *ledgerv1.PersonSummary {
	return &ledgerv1.PersonSummary{
		PersonId: idOf(p.ID), Office: areaOf(p.Office), Name: p.Name, Sex: p.Sex, BirthYear: int32(p.BirthYear), Document: p.Document,
		Living: areaOf(p.Living), Presence: ledgerv1.Presence(p.Presence), FoundBy: p.FoundBy,
	}
}

// serviceInput reads what a clerk records; prefix says where it stands in the
// request.
func serviceInput(prefix string, m *ledgerv1.ServiceInput) (services.Input, error) {
	d := &decoder{prefix: prefix}
	in := services.Input{
		RequestID: d.requestID(m.GetRequestId()),
		Person:    requiredID(d, "person_id", m.GetPersonId(), cases.ParsePersonID),
		Kind:      requiredNumber(d, "kind", m.GetKind(), ledger.Visit),
		Period:    m.GetPeriod(),
		Record: ledger.ServiceRecord{
			Result:      d.required("result", m.GetResult(), maxWord),
			Date:        d.day("date", m.GetDate()),
			Channel:     d.required("channel", m.GetChannel(), maxWord),
			Findings:    d.pairs("findings", m.GetFindings()),
			Consent:     id(d, "consent_id", m.GetConsentId(), cases.ParseConsentID),
			OwnProof:    m.GetOwnProof(),
			Appointment: d.day("appointment", m.GetAppointment()),
		},
	}
	if m.GetPeriod() > maxPeriod {
		d.refuse("period", "PERIOD", "is no period", "期次不正确")
	}
	if f := m.GetReferral(); f != nil {
		r := d.in("referral")
		in.Record.Referral = &ledger.Referral{
			To: r.required("to", f.GetTo(), maxWord), Date: r.day("date", f.GetDate()), Done: r.day("done_date", f.GetDoneDate()),
		}
		d.merge(r)
	}
	return in, d.err
}

// maxPeriod is December 9999 as a month.
const maxPeriod = 999912

func serviceMessage(v services.View) *ledgerv1.ServiceRecord {
	r := &v.Record
	m := &ledgerv1.ServiceRecord{
		PersonId: idOf(v.Person), Kind: ledgerv1.ServiceKind(v.Kind), Period: v.Period, Closed: r.Closed(), Account: r.By,
		Last: &ledgerv1.ServiceInput{
			PersonId: idOf(v.Person), Kind: ledgerv1.ServiceKind(v.Kind), Period: v.Period, Result: r.Result, Date: r.Date.String(), Channel: r.Channel,
			Findings: r.Findings, ConsentId: idOf(r.Consent), OwnProof: r.OwnProof, Appointment: r.Appointment.String(),
		},
	}
	if f := r.Referral; f != nil {
		m.Last.Referral = &ledgerv1.Referral{To: f.To, Date: f.Date.String(), DoneDate: f.Done.String()}
	}
	for _, a := range r.Attempts {
		m.Attempts = append(m.Attempts, &ledgerv1.Attempt{Date: a.Date.String(), Channel: a.Channel})
	}
	return m
}

func personServicesRequest(r *ledgerv1.ListPersonServicesRequest) (cases.PersonID, string, error) {
	d := &decoder{}
	who := requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID)
	purpose := d.text("purpose", r.GetPurpose(), maxText)
	return who, purpose, d.err
}

func standingRequest(r *ledgerv1.SetStandingRefusalRequest) (string, cases.PersonID, ledger.Service, error) {
	d := &decoder{}
	requestID := d.requestID(r.GetRequestId())
	who := requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID)
	kind := requiredNumber(d, "kind", r.GetKind(), ledger.Visit)
	return requestID, who, kind, d.err
}

// within names the field of an error as the request has it.
func within(prefix string, err error) error {
	f, ok := fault.As(err)
	if !ok || f.Field == "" || strings.HasPrefix(f.Field, prefix) {
		return err
	}
	named := *f
	return named.On(prefix + f.Field)
}
