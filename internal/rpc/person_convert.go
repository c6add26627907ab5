package rpc

import (
	"fmt"
	"slices"

	"yipan/internal/cases"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
)

// maxParts is how many documents, names or contacts a profile may name; the
// rules allow fewer.
const maxParts = 20

func registerPersonRequest(r *ledgerv1.RegisterPersonRequest) (people.RegisterRequest, error) {
	d := &decoder{}
	q := people.RegisterRequest{RequestID: d.requestID(r.GetRequestId()), Office: d.area("office", r.GetOffice()), On: d.day("event_date", r.GetEventDate())}
	q.Profile = profileInput(d, r.GetProfile())
	return q, d.err
}

// profileInput reads a profile as typed; what of it is right, people says.
// Standing refusals are output only.
func profileInput(parent *decoder, m *ledgerv1.Profile) people.Profile {
	if m == nil {
		parent.refuse("profile", "FIELD_REQUIRED", "is missing", "缺少档案内容")
		return people.Profile{}
	}
	d := parent.in("profile")
	defer parent.merge(d)
	if len(m.GetDocuments()) > maxParts || len(m.GetContacts()) > maxParts {
		d.refuse("documents", "TOO_MANY", "has too many values", "证件或联系方式过多")
		return people.Profile{}
	}
	f := people.Profile{
		Name: d.text("name", m.GetName(), 2*maxName), FormerNames: slices.Clone(d.words("former_names", m.GetFormerNames())),
		Sex: m.GetSex(), Birth: d.day("birth_date", m.GetBirthDate()), Marital: m.GetMaritalStatus(),
		Registered: d.area("registered", m.GetRegistered()), Managed: d.area("managed", m.GetManaged()), Living: d.area("living", m.GetLiving()),
		Address: d.text("address", m.GetAddress(), maxText), Household: d.text("household", m.GetHousehold(), maxWord),
		Relation: d.text("household_relation", m.GetHouseholdRelation(), maxWord),
	}
	for i, doc := range m.GetDocuments() {
		in := d.in(fmt.Sprintf("documents[%d]", i))
		kind := number(in, "kind", doc.GetKind(), ident.KindNone)
		n := in.text("number", doc.GetNumber(), maxWord)
		f.Documents = append(f.Documents, ledger.Document{
			Kind: kind, Number: n, Original: n, Confirmed: in.text("confirmed", doc.GetConfirmed(), maxText), Former: doc.GetFormer(),
		})
		d.merge(in)
	}
	for i, c := range m.GetContacts() {
		in := d.in(fmt.Sprintf("contacts[%d]", i))
		f.Contacts = append(f.Contacts, ledger.Contact{
			Value: in.text("value", c.GetValue(), maxWord), Kind: in.text("kind", c.GetKind(), maxWord),
			Safe: c.GetSafe(), Preference: in.text("preference", c.GetPreference(), maxWord),
		})
		d.merge(in)
	}
	return f
}

func updatePersonRequest(r *ledgerv1.UpdatePersonRequest) (people.UpdateRequest, error) {
	d := &decoder{}
	q := people.UpdateRequest{
		RequestID: d.requestID(r.GetRequestId()), Person: requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID),
		Etag: d.required("etag", r.GetEtag(), maxWord), Fields: d.words("update_fields", r.GetUpdateFields()),
		On: d.day("event_date", r.GetEventDate()), Reason: d.text("reason", r.GetReason(), maxText),
	}
	q.Profile = profileInput(d, r.GetProfile())
	return q, d.err
}

func searchPersonsRequest(r *ledgerv1.SearchPersonsRequest) (people.SearchRequest, error) {
	d := &decoder{}
	q := people.SearchRequest{
		Office: d.area("office", r.GetOffice()), Document: d.text("document", r.GetDocument(), maxWord), Last4: d.text("last4", r.GetLast4(), maxWord),
		Name: d.text("name", r.GetName(), maxName), Initials: d.text("initials", r.GetInitials(), maxName), Phone: d.text("phone", r.GetPhone(), maxWord),
		Area: d.area("area", r.GetArea()), AreaOf: d.text("area_of", r.GetAreaOf(), maxWord),
		PageSize: d.pageSize(r.GetPageSize(), 200), PageToken: d.text("page_token", r.GetPageToken(), maxToken), Purpose: d.text("purpose", r.GetPurpose(), maxText),
	}
	return q, d.err
}

// personAsked reads which person is asked for, and why.
func personAsked(person, purpose string) (cases.PersonID, string, error) {
	d := &decoder{}
	id := requiredID(d, "person_id", person, cases.ParsePersonID)
	return id, d.text("purpose", purpose, maxText), d.err
}

func restrictPersonRequest(request, person string, keepers []string) (string, cases.PersonID, []string, error) {
	d := &decoder{}
	r := d.requestID(request)
	id := requiredID(d, "person_id", person, cases.ParsePersonID)
	return r, id, d.words("keepers", keepers), d.err
}

func personMessage(f people.File) *ledgerv1.Person {
	m := &ledgerv1.Person{
		PersonId: idOf(f.ID), Office: areaOf(f.Office), Etag: f.Etag, Profile: profileMessage(&f.Profile), Presence: ledgerv1.Presence(f.Presence),
		Since: f.Since.String(), AreaHint: f.AreaHint, AreaHintName: f.AreaHintName, Restricted: f.Restricted,
	}
	for _, id := range f.Merged {
		m.MergedIds = append(m.MergedIds, idOf(id))
	}
	for _, id := range f.Cases {
		m.CaseIds = append(m.CaseIds, idOf(id))
	}
	return m
}

func profileMessage(f *people.Profile) *ledgerv1.Profile {
	m := &ledgerv1.Profile{
		Name: f.Name, FormerNames: f.FormerNames, Sex: f.Sex, BirthDate: f.Birth.String(), MaritalStatus: f.Marital,
		Registered: areaOf(f.Registered), Managed: areaOf(f.Managed), Living: areaOf(f.Living), Address: f.Address,
		Household: f.Household, HouseholdRelation: f.Relation,
	}
	for i := range f.Documents {
		d := &f.Documents[i]
		m.Documents = append(m.Documents, &ledgerv1.Document{Kind: ledgerv1.DocumentKind(d.Kind), Number: d.Doc().Original, Confirmed: d.Confirmed, Former: d.Former})
	}
	for _, c := range f.Contacts {
		m.Contacts = append(m.Contacts, &ledgerv1.Contact{Value: c.Value, Kind: c.Kind, Safe: c.Safe, Preference: c.Preference})
	}
	for s := ledger.ThreeChecks; s.Known(); s++ {
		if _, ok := f.Refusals[s]; ok {
			m.StandingRefusals = append(m.StandingRefusals, serviceNames[s])
		}
	}
	return m
}

var serviceNames = map[ledger.Service]string{
	ledger.ThreeChecks: "three_checks", ledger.Contraceptives: "contraceptives", ledger.FollowUp: "follow_up",
	ledger.Entitlement: "entitlement", ledger.Visit: "visit",
}

func summaryMessage(s people.Summary) *ledgerv1.PersonSummary {
	return &ledgerv1.PersonSummary{
		PersonId: idOf(s.ID), Office: areaOf(s.Office), Name: s.Name, Sex: s.Sex, BirthYear: int32(s.BirthYear), Document: s.Document,
		Living: areaOf(s.Living), Presence: ledgerv1.Presence(s.Presence), FoundBy: s.FoundBy,
	}
}

func hintMessage(h people.DuplicateHint) *ledgerv1.DuplicateHint {
	return &ledgerv1.DuplicateHint{Person: summaryMessage(h.Person), Score: int32(h.Score), Reasons: h.Reasons}
}

func personEventMessage(e people.Event) *ledgerv1.PersonEvent {
	return &ledgerv1.PersonEvent{
		Kind: e.Kind.String(), EventDate: e.On.String(), RecordedAt: instantOf(e.RecordedAt), Account: e.Account,
		Fields: e.Fields, Before: e.Before, After: e.After, Reason: e.Reason,
	}
}

func slipMessage(s people.Slip) *ledgerv1.GetSlipResponse {
	m := &ledgerv1.GetSlipResponse{Name: s.Name}
	for _, r := range s.Reads {
		m.Reads = append(m.Reads, &ledgerv1.SlipRead{
			At: instantOf(r.At), Office: areaOf(r.Office), Account: r.Account, OnBehalf: r.OnBehalf, Verb: string(r.Verb), Purpose: r.Purpose,
		})
	}
	for _, c := range s.Cases {
		m.Cases = append(m.Cases, &ledgerv1.SlipCase{CaseId: idOf(c.Case), Kind: c.Kind.String(), AskedBy: areaOf(c.AskedBy), OpenedAt: instantOf(c.OpenedAt)})
	}
	for _, c := range s.Consents {
		m.Consents = append(m.Consents, &ledgerv1.SlipConsent{
			ConsentId: idOf(c.ID), Purpose: c.Purpose, Recipient: areaOf(c.Recipient), ValidUntil: instantOf(c.ValidUntil), WithdrawnAt: instantOf(c.WithdrawnAt),
		})
	}
	return m
}
