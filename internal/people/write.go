package people

import (
	"context"
	"maps"
	"slices"
	"strings"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// RegisterRequest registers one person.
type RegisterRequest struct {
	RequestID string
	Office    area.Key // 0: the caller's only one
	Profile   Profile
	On        civil.Date // day from which it holds; zero: today
}

// Registered is what RegisterPerson did.
type Registered struct {
	File       File
	Warnings   []string        // Chinese: what the clerk should look at
	Duplicates []DuplicateHint // files that may be of the same person
	Paired     []cases.CaseID  // notices that waited for this person
}

// stated is what a request says, for its digest: columns of a profile are not
// in its JSON.
type stated struct {
	Subject, Etag, On, Reason string
	Fields                    []string
	Values                    map[string]string
}

// RegisterPerson registers a person of an office, proposes who may be the same,
// and pairs notices that waited. Errors beside those of Register: Invalid
// REQUEST_ID, Conflict REQUEST_ID_REUSED.
func (l *People) RegisterPerson(ctx context.Context, p access.Principal, r RegisterRequest) (Registered, error) {
	office, err := l.Office(ctx, p, access.PersonWrite, r.Office, "office")
	if err != nil {
		return Registered{}, err
	}
	if err := usher.CheckRequestID(r.RequestID); err != nil {
		return Registered{}, err
	}
	req := store.Request{Account: p.ID, RequestID: r.RequestID, Office: office, Method: "person.register",
		Hash: l.HashOf(stated{On: r.On.String(), Values: r.Profile.Values()})}
	on := l.day(r.On)
	var out Registered
	err = l.In(ctx, p, func(tx *store.Tx) error {
		out = Registered{}
		done, err := tx.ClaimRequest(ctx, req)
		if err != nil {
			return err
		}
		var id cases.PersonID
		if copy(id[:], done) == 0 {
			if id, err = l.registerNew(ctx, tx, p, office, r.Profile, on, &out); err != nil {
				return err
			}
			if err := tx.FinishRequest(ctx, p.ID, r.RequestID, id[:]); err != nil {
				return err
			}
		}
		group, err := l.group(ctx, tx, id)
		if err != nil {
			return err
		}
		if out.File, err = l.view(ctx, tx, group); err != nil {
			return err
		}
		return tx.LogAccess(ctx, store.Access{Principal: p, Office: office, Verb: access.PersonWrite, Purpose: "register", Subjects: shown(group[0].ID, out.Duplicates)})
	})
	if err != nil {
		return Registered{}, err
	}
	l.changed(out.Paired)
	return out, nil
}

func (l *People) registerNew(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, f Profile, on civil.Date, out *Registered) (id cases.PersonID, err error) {
	if id, out.Warnings, err = l.Register(ctx, tx, p, office, f, on); err != nil {
		return id, err
	}
	if out.Duplicates, err = l.Propose(ctx, tx, office, id); err != nil || l.Config.Registered == nil {
		return id, err
	}
	out.Paired, err = l.Config.Registered(ctx, tx, p, office, id)
	return id, err
}

// shown lists whom an answer shows: the person and those who may be the same.
func shown(id cases.PersonID, hints []DuplicateHint) [][16]byte {
	out := [][16]byte{id}
	for i := range hints {
		out = append(out, hints[i].Person.ID)
	}
	return out
}

func (l *People) day(on civil.Date) civil.Date {
	if on.IsZero() {
		return civil.In(l.Now())
	}
	return on
}

// UpdateRequest changes fields of a file.
type UpdateRequest struct {
	RequestID string
	Person    cases.PersonID
	Etag      string
	Profile   Profile
	Fields    []string // names of the members of Profile that change, as the API has them
	On        civil.Date
	Reason    string
}

// copiers copy one member of a profile each, by its name in the API.
var copiers = map[string]func(to, from *Profile){
	"name":               func(to, from *Profile) { to.Name = from.Name },
	"former_names":       func(to, from *Profile) { to.FormerNames = slices.Clone(from.FormerNames) },
	"documents":          func(to, from *Profile) { to.Documents = slices.Clone(from.Documents) },
	"sex":                func(to, from *Profile) { to.Sex = from.Sex },
	"birth_date":         func(to, from *Profile) { to.Birth = from.Birth },
	"marital_status":     func(to, from *Profile) { to.Marital = from.Marital },
	"registered":         func(to, from *Profile) { to.Registered = from.Registered },
	"managed":            func(to, from *Profile) { to.Managed = from.Managed },
	"living":             func(to, from *Profile) { to.Living = from.Living },
	"address":            func(to, from *Profile) { to.Address = from.Address },
	"contacts":           func(to, from *Profile) { to.Contacts = slices.Clone(from.Contacts) },
	"household":          func(to, from *Profile) { to.Household = from.Household },
	"household_relation": func(to, from *Profile) { to.Relation = from.Relation },
}

// Fields lists the names of the fields that UpdatePerson can change.
func Fields() []string { return slices.Sorted(maps.Keys(copiers)) }

// Updated is what UpdatePerson did.
type Updated struct {
	File      File
	Warnings  []string
	Corrected []cases.CaseID // open cases that say now what the file says
	Paired    []cases.CaseID // notices that waited for the person's new document

	after func(context.Context)
}

// UpdatePerson changes fields of a file; unchanged ones write nothing. What they
// were stays in the history. With the name or the documents, open cases that the
// office opened about the person change too. Errors: Invalid by the rules of DOMAIN section 5,
// NotFound PERSON_NOT_FOUND, Conflict ETAG_STALE, PERSON_EXISTS.
func (l *People) UpdatePerson(ctx context.Context, p access.Principal, r UpdateRequest) (Updated, error) {
	if err := usher.CheckRequestID(r.RequestID); err != nil {
		return Updated{}, err
	}
	if len(r.Fields) == 0 {
		return Updated{}, fault.Invalid("REQUIRED", "no fields are named").Zh("请指明要修改的项目").On("update_fields")
	}
	for _, f := range r.Fields {
		if copiers[f] == nil {
			return Updated{}, fault.Invalid("FIELD_NAME", "no field of a profile has this name").
				Zh("没有这个项目；可修改的项目：%s", strings.Join(Fields(), "、")).On("update_fields")
		}
	}
	if r.Etag == "" {
		return Updated{}, fault.Invalid("ETAG_REQUIRED", "no etag is given").Zh("缺少版本标识，请先打开档案再修改").On("etag")
	}
	if err := l.Allow(ctx, p, access.PersonWrite, 0); err != nil {
		return Updated{}, err
	}
	if _, err := l.within(ctx, p, access.PersonWrite); err != nil { // the answer shows the whole file
		return Updated{}, err
	}
	var out Updated
	err := l.with(ctx, p, access.PersonWrite, r.Person, "update", func(tx *store.Tx, group []store.PersonRow) error {
		out = Updated{}
		row := &group[0]
		first, err := l.first(ctx, tx, p, row, r.RequestID, "person.update", stated{
			Subject: r.Person.String(), Etag: r.Etag, On: r.On.String(), Reason: r.Reason, Fields: r.Fields, Values: r.Profile.Values(),
		})
		if err != nil {
			return err
		}
		if first {
			if err := l.update(ctx, tx, p, row, &r, &out); err != nil {
				return err
			}
			if group, err = l.group(ctx, tx, row.ID); err != nil {
				return err
			}
		}
		out.File, err = l.view(ctx, tx, group)
		return err
	})
	if err != nil {
		return Updated{}, err
	}
	if out.after != nil {
		out.after(ctx)
	}
	l.changed(out.Paired)
	return out, nil
}

func (l *People) changed(ids []cases.CaseID) {
	if l.Changed != nil && len(ids) > 0 {
		l.Changed(ids)
	}
}

func (l *People) update(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, r *UpdateRequest, out *Updated) error {
	locked, key, err := l.lock(ctx, tx, row.ID)
	if err != nil {
		return err
	}
	if Etag(locked) != r.Etag {
		return fault.Conflict("ETAG_STALE", "file %s changed since it was shown", row.ID).Zh("档案内容已变化，请刷新后再修改").On("etag")
	}
	before, err := OpenProfile(key, locked)
	if err != nil {
		return err
	}
	out.Warnings, err = l.Change(ctx, tx, p, row.ID, ledger.EventEdited, l.day(r.On), r.Reason, func(f *Profile) error {
		for _, name := range r.Fields {
			copiers[name](f, &r.Profile)
		}
		return byMovement(locked, f, r.Reason)
	})
	if err != nil {
		return err
	}
	after, _, err := l.ProfileOf(ctx, tx, row.ID)
	if err != nil {
		return err
	}
	e := ledger.Changed(&before, &after)
	if e == nil {
		return nil
	}
	if slices.Contains(e.Fields, "documents") {
		if err := l.newDocument(ctx, tx, p, row, out); err != nil {
			return err
		}
	}
	if l.Edited == nil {
		return nil
	}
	done, err := l.Edited(ctx, tx, p, row.Office, row.ID, e.Fields)
	out.Corrected, out.after, out.Warnings = done.Corrected, done.After, append(out.Warnings, done.Warnings...)
	return err
}

// newDocument does for the new documents of a file what registering it with them
// would have done.
func (l *People) newDocument(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, out *Updated) error {
	hints, err := l.Propose(ctx, tx, row.Office, row.ID)
	if err != nil {
		return err
	}
	if len(hints) > 0 {
		out.Warnings = append(out.Warnings, "可能与本单位已有档案是同一人，请核对重复档案")
	}
	if l.Config.Registered != nil {
		out.Paired, err = l.Config.Registered(ctx, tx, p, row.Office, row.ID)
	}
	return err
}

// byMovement keeps a person who moved from being edited to another township: that
// is a movement, out of which notices arise. With a reason it corrects a mistake.
func byMovement(row *store.PersonRow, f *Profile, reason string) error {
	if row.Presence == ledger.Unknown || reason != "" {
		return nil
	}
	for _, k := range []struct {
		was, is area.Key
		field   string
	}{{row.Living, f.Living, "living"}, {row.Registered, f.Registered, "registered"}} {
		if k.was != 0 && k.was.Cut(area.Township) != k.is.Cut(area.Township) {
			return fault.Invalid("USE_MOVEMENT", "%s changes to another township without a reason", k.field).
				Zh("迁往其他乡镇（街道）请登记流动；如为更正录入错误，请注明理由").On("profile." + k.field)
		}
	}
	return nil
}

// first claims a request id for a write on a file; false: it was done before.
func (l *People) first(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, requestID, method string, says stated) (bool, error) {
	done, err := tx.ClaimRequest(ctx, store.Request{Account: p.ID, RequestID: requestID, Office: row.Office, Method: method, Hash: l.HashOf(says)})
	if err != nil || done != nil {
		return false, err
	}
	return true, tx.FinishRequest(ctx, p.ID, requestID, []byte{1})
}
