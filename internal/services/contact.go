package services

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// ContactInput is a try to reach a person who agreed to be contacted.
type ContactInput struct {
	RequestID string
	Person    cases.PersonID
	Date      civil.Date
	Channel   string // one of ledger.Channels
	Reached   bool   // a "no" is a contact
	Purpose   string // logged
}

// contactMethod is under what requests to write into a contact log are kept.
const contactMethod = "contact"

// RecordContact notes a try in the contact log of a person who agrees to it now.
// Whether the person does is told, and nothing else of the database tells it:
// the log is written again all the same, in its one size. Errors: Invalid with
// the field; Conflict NOT_AGREED, PERSON_DEAD; NotFound.
func (s *Services) RecordContact(ctx context.Context, p access.Principal, in ContactInput) error {
	if err := s.Allow(ctx, p, access.ContactWrite, 0); err != nil {
		return err
	}
	if err := s.checkContact(&in); err != nil {
		return err
	}
	var problem error
	err := s.In(ctx, p, func(tx *store.Tx) error {
		problem = nil
		hash, refused := s.HashOf(in), s.HashOf(struct {
			Refused bool
			Input   ContactInput
		}{true, in})
		known, err := tx.RequestsOf(ctx, p.ID, []string{in.RequestID})
		if err != nil {
			return err
		}
		old, repeated := known[in.RequestID]
		if repeated && (old.Method != contactMethod || old.Hash != hash && old.Hash != refused) {
			return usher.Reused()
		}
		c, err := s.contact(ctx, tx, in.Person, true)
		if err != nil {
			return err
		}
		if c.office == 0 {
			problem = people.NotFound().On("person_id")
			return s.log(ctx, tx, p, access.ContactWrite, in.Purpose, nil, true)
		}
		switch {
		case repeated && old.Hash == refused, !repeated && !c.agreed:
			problem = notAgreed()
		case !repeated && c.dead:
			problem = fault.Conflict("PERSON_DEAD", "the person died").Zh("该人员已登记死亡，不再联系").On("person_id")
		case !repeated:
			c.log.Add(ledger.ContactTry{Date: in.Date, Channel: in.Channel, Reached: in.Reached, By: p.ID, At: s.Now().Unix()})
		}
		box, err := book.SealContact(c.key, c.person, &c.log)
		if err != nil {
			return err
		}
		if err := tx.PutContact(ctx, store.ContactRow{Person: c.person, Office: c.office, Sealed: box}); err != nil {
			return err
		}
		if !repeated {
			r := store.Request{Account: p.ID, RequestID: in.RequestID, Office: c.office, Method: contactMethod, Hash: hash}
			if problem != nil {
				r.Hash = refused
			}
			if err := tx.AddRequests(ctx, []store.Request{r}); err != nil {
				return err
			}
		}
		return s.log(ctx, tx, p, access.ContactWrite, in.Purpose, map[area.Key][][16]byte{c.office: {c.person}}, false)
	})
	if err == nil {
		err = problem
	}
	return err
}

func notAgreed() error {
	return fault.Conflict("NOT_AGREED", "the person does not agree to be contacted").
		Zh("本人目前没有同意联系（没有用途为“联系本人”的有效同意书，或已撤回、已到期），不能登记联系；本人愿意的，请先登记同意书").On("person_id")
}

func (s *Services) checkContact(in *ContactInput) error {
	today := civil.In(s.Now())
	switch {
	case usher.CheckRequestID(in.RequestID) != nil:
		return usher.CheckRequestID(in.RequestID)
	case in.Date.IsZero():
		return fault.Invalid("REQUIRED", "date is missing").Zh("请填写联系日期").On("contact.date")
	case in.Date.After(today):
		return fault.Invalid("FUTURE_DATE", "date lies in the future").Zh("联系日期不能晚于今天").On("contact.date")
	case in.Date.Before(today.AddDays(-366)):
		return fault.Invalid("DATE_RANGE", "date lies more than a year back").Zh("只登记一年以内的联系").On("contact.date")
	case !slices.Contains(ledger.Channels(), in.Channel):
		return fault.Invalid("CHANNEL_CODE", "unknown channel").Zh("方式只能是：visit（上门）、phone（电话）、message（短信）、letter（信函）、counter（窗口）").On("contact.channel")
	}
	return nil
}

// ListContacts shows the tries to reach one person, the newest first, and whether
// the person agrees to be contacted now. A miss is logged too.
func (s *Services) ListContacts(ctx context.Context, p access.Principal, id cases.PersonID, purpose string) (tries []ledger.ContactTry, agreed bool, err error) {
	if err := s.Allow(ctx, p, access.ContactRead, 0); err != nil {
		return nil, false, err
	}
	var miss error
	err = s.In(ctx, p, func(tx *store.Tx) error {
		tries, agreed, miss = nil, false, nil
		c, err := s.contact(ctx, tx, id, false)
		if err != nil {
			return err
		}
		if c.office == 0 {
			miss = people.NotFound().On("person_id")
			return s.log(ctx, tx, p, access.ContactRead, purpose, nil, true)
		}
		tries, agreed = slices.Clone(c.log.Tries), c.agreed
		slices.Reverse(tries)
		return s.log(ctx, tx, p, access.ContactRead, purpose, map[area.Key][][16]byte{c.office: {c.person}}, false)
	})
	if err == nil {
		err = miss
	}
	return tries, agreed, err
}

// contactLog is the contact log of a person, of all merged files together.
type contactLog struct {
	person cases.PersonID
	office area.Key // 0: erased, or not there
	key    *seal.DataKey
	log    ledger.ContactLog
	agreed bool
	dead   bool
}

// contact reads a log, and locks its files where it is to be written: consents
// first, then people in order.
func (s *Services) contact(ctx context.Context, tx *store.Tx, id cases.PersonID, lock bool) (contactLog, error) {
	c := contactLog{}
	roots, err := tx.Roots(ctx, []cases.PersonID{id})
	if err != nil {
		return c, err
	}
	c.person = roots[id]
	groups, err := tx.Groups(ctx, []cases.PersonID{c.person})
	if err != nil {
		return c, err
	}
	files := groups[c.person]
	consents, err := s.Book.ConsentsOf(ctx, tx, files)
	if err != nil {
		return c, err
	}
	if lock {
		if _, err := tx.LockFiles(ctx, files); err != nil {
			return c, err
		}
	}
	rows, err := tx.PersonsByID(ctx, files)
	if err != nil {
		return c, err
	}
	keys, err := s.Book.PersonKeys(ctx, tx, files)
	if err != nil {
		return c, err
	}
	for i := range rows {
		if r := &rows[i]; r.ID == c.person && !r.Erased && keys[r.ID] != nil {
			c.office, c.key, c.dead = r.Office, keys[r.ID], r.Presence == ledger.Dead
		}
	}
	if c.office == 0 {
		return c, nil
	}
	logs, err := tx.ContactsOf(ctx, files)
	if err != nil {
		return c, err
	}
	for _, l := range logs {
		if keys[l.Person] == nil {
			continue
		}
		part, err := book.OpenContact(keys[l.Person], l.Person, l.Sealed)
		if err != nil {
			return c, err
		}
		if l.Person != c.person && lock {
			continue // it stays in its own file
		}
		c.log.Merge(part)
	}
	for _, k := range consents {
		c.agreed = c.agreed || k.AgreesTo(ledger.PurposeContact, s.Now()) && (c.office.Within(k.Recipient) || k.Recipient.Within(c.office))
	}
	return c, nil
}
