package ledger

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
)

// Profile is what an office keeps of a person. There is no field for ethnicity,
// occupation, employer or landlord, and none for births (DOMAIN section 2, 6).
type Profile struct {
	Name        string     `json:"name"` // original spelling
	FormerNames []string   `json:"former_names,omitempty"`
	Documents   []Document `json:"documents,omitempty"` // the first is the one that the person is known by
	Marital     uint32     `json:"marital"`             // GB/T 2261.2; 0: not asked
	Address     string     `json:"address,omitempty"`
	Contacts    []Contact  `json:"contacts,omitempty"`
	Household   string     `json:"household,omitempty"`
	Relation    string     `json:"relation,omitempty"` // to the head of the household

	// Columns of the row, plain, never sealed.
	Sex        uint32     `json:"-"` // GB/T 2261.1
	Birth      civil.Date `json:"-"`
	Registered area.Key   `json:"-"`
	Managed    area.Key   `json:"-"`
	Living     area.Key   `json:"-"`

	// Refusals are standing refusals: valid until the person changes them.
	Refusals map[Service]civil.Date `json:"refusals,omitempty"`
}

// Document is an ID document as it was shown.
type Document struct {
	Kind      ident.Kind `json:"kind"`
	Number    string     `json:"number"`              // normalised
	Original  string     `json:"original,omitempty"`  // as typed, where it differs
	Confirmed string     `json:"confirmed,omitempty"` // why a failed check digit is right all the same
	Former    bool       `json:"former,omitempty"`
}

// Doc returns the document as package ident knows it.
func (d *Document) Doc() ident.Doc {
	o := d.Original
	if o == "" {
		o = d.Number
	}
	return ident.Doc{Kind: d.Kind, Number: d.Number, Original: o}
}

// Contact is one way to reach the person.
type Contact struct {
	Kind       string `json:"kind"`
	Value      string `json:"value"`
	Safe       bool   `json:"safe"` // nobody else learns by it what a call is about
	Preference string `json:"preference"`
}

// Kinds of a contact.
const (
	ContactPhone  = "phone"
	ContactFamily = "through_family"
)

// ContactKinds lists the kinds of contact.
func ContactKinds() []string {
	return []string{ContactPhone, "wechat", "mail", ContactFamily, "other"}
}

// Preferences lists what a person can prefer about a contact.
func Preferences() []string { return []string{"any", "workdays", "evenings", "message_only", "none"} }

// Relations lists the relations to the head of a household.
func Relations() []string { return []string{"head", "spouse", "child", "parent", "other"} }

// Current returns the document that the person is known by: the first that is
// not a former one; the zero Doc where there is none.
func (p *Profile) Current() ident.Doc {
	for i := range p.Documents {
		if !p.Documents[i].Former {
			return p.Documents[i].Doc()
		}
	}
	return ident.Doc{}
}

// Phone returns the first telephone number, "" where there is none.
func (p *Profile) Phone() string {
	for _, c := range p.Contacts {
		if c.Kind == ContactPhone {
			return c.Value
		}
	}
	return ""
}

// Clone returns a copy that shares nothing with p.
func (p *Profile) Clone() Profile {
	c := *p
	c.FormerNames, c.Documents, c.Contacts = slices.Clone(p.FormerNames), slices.Clone(p.Documents), slices.Clone(p.Contacts)
	c.Refusals = maps.Clone(p.Refusals)
	return c
}

// ProfileSizes are the sizes of a sealed profile, before encryption.
var ProfileSizes = []int{1024, 2048, 4096}

// Size returns the one of ProfileSizes that p takes. It depends on what is
// written on papers and doors (names, numbers, addresses, how many contacts),
// whose lengths nobody decides. What the person decided always has its room
// reserved: every service refused, every contact with the longest preference;
// so has the marital status, so that no size tells it. Longer than the largest
// is Invalid.
func (p *Profile) Size() (int, error) {
	full := p.Clone()
	full.Marital = uint32(ident.MaritalUnspecified)
	full.Refusals = map[Service]civil.Date{}
	for s := ThreeChecks; s.Known(); s++ {
		full.Refusals[s] = civil.Date{Year: 2026, Month: 1, Day: 1}
	}
	for i := range full.Contacts {
		full.Contacts[i].Safe, full.Contacts[i].Preference = false, "message_only"
	}
	b, err := json.Marshal(full)
	if err != nil {
		return 0, fault.Internal("ENCODE", "encode profile").Because(err)
	}
	return sizeFor(len(b), ProfileSizes)
}

// formHead is what Encode leaves for the padding.
const formHead = 8

func sizeFor(n int, sizes []int) (int, error) {
	for _, s := range sizes {
		if n <= s-formHead {
			return s, nil
		}
	}
	most := sizes[len(sizes)-1] - formHead
	return 0, fault.Invalid("TOO_LONG", "sealed form has %d bytes, at most %d", n, most).Zh("内容过长，请精简姓名、地址或联系方式")
}

// EventKind is what happened to a file. The numbers are stored.
type EventKind uint8

// The kinds of event.
const (
	EventRegistered        EventKind = 1
	EventEdited            EventKind = 2
	EventDocumentConfirmed EventKind = 3
	EventMerged            EventKind = 4
	EventUnmerged          EventKind = 5
	EventRestricted        EventKind = 6
	EventUnrestricted      EventKind = 7
	EventMoved             EventKind = 8
	EventAccepted          EventKind = 9 // registered out of a notice
	EventDied              EventKind = 10
)

var eventNames = []string{
	"", "registered", "edited", "document_confirmed", "merged", "unmerged", "restricted", "unrestricted", "moved", "accepted", "died",
}

// String returns the stable code, "registered".
func (k EventKind) String() string {
	if int(k) >= len(eventNames) || k == 0 {
		return "unknown"
	}
	return eventNames[k]
}

// Event is what a line of a file's history says beside its kind, day, time and
// account: which fields changed, from what to what, and why.
type Event struct {
	Fields []string          `json:"fields,omitempty"`
	Before map[string]string `json:"before,omitempty"`
	After  map[string]string `json:"after,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

// EventSizes are the sizes of a sealed event, before encryption. An event
// records papers and places; a standing refusal is never an event of a file.
var EventSizes = []int{512, 1024, 2048, 4096, 8192, 16384}

// asked writes all that can be preferred about a contact in one length, so that
// the size of an event does not tell what was.
var asked = func() *strings.Replacer {
	var pairs []string
	for _, p := range Preferences() {
		for _, s := range []string{" safe", " unsafe"} {
			pairs = append(pairs, " "+p+s, " message_only unsafe")
		}
	}
	return strings.NewReplacer(pairs...)
}()

// Size returns the one of EventSizes that e takes; see Profile.Size.
func (e *Event) Size() (int, error) {
	full := *e
	full.Before, full.After = maps.Clone(e.Before), maps.Clone(e.After)
	for _, m := range []map[string]string{full.Before, full.After} {
		if v, ok := m["contacts"]; ok {
			m["contacts"] = asked.Replace(v)
		}
	}
	b, err := json.Marshal(full)
	if err != nil {
		return 0, fault.Internal("ENCODE", "encode event").Because(err)
	}
	return sizeFor(len(b), EventSizes)
}

// Values writes the fields of p as text by name, as a history keeps and shows
// them. Refusals are not among them.
func (p *Profile) Values() map[string]string {
	v := map[string]string{
		"name": p.Name, "former_names": strings.Join(p.FormerNames, "; "), "birth_date": p.Birth.String(),
		"address": p.Address, "household": p.Household, "household_relation": p.Relation,
		"registered": areaText(p.Registered), "managed": areaText(p.Managed), "living": areaText(p.Living),
		"sex": number(p.Sex), "marital_status": number(p.Marital),
	}
	var docs, contacts []string
	for i := range p.Documents {
		d := &p.Documents[i]
		s := d.Kind.String() + " " + d.Doc().Original
		if d.Former {
			s += " (former)"
		}
		if d.Confirmed != "" {
			s += " (confirmed: " + d.Confirmed + ")"
		}
		docs = append(docs, s)
	}
	for _, c := range p.Contacts {
		s := c.Kind + " " + c.Value + " " + c.Preference + " unsafe"
		if c.Safe {
			s = strings.TrimSuffix(s, "unsafe") + "safe"
		}
		contacts = append(contacts, s)
	}
	v["documents"], v["contacts"] = strings.Join(docs, "; "), strings.Join(contacts, "; ")
	for k, s := range v {
		if s == "" {
			delete(v, k)
		}
	}
	return v
}

// Changed returns what differs between two profiles, nil where nothing does.
func Changed(before, after *Profile) *Event {
	b, a := before.Values(), after.Values()
	e := Event{Before: map[string]string{}, After: map[string]string{}}
	names := map[string]bool{}
	for k := range b {
		names[k] = true
	}
	for k := range a {
		names[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if b[k] == a[k] {
			continue
		}
		e.Fields = append(e.Fields, k)
		if b[k] != "" {
			e.Before[k] = b[k]
		}
		if a[k] != "" {
			e.After[k] = a[k]
		}
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return &e
}

func areaText(k area.Key) string {
	if k == 0 {
		return ""
	}
	return k.String()
}

func number(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}
