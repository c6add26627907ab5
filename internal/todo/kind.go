package todo

import (
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
)

// Kind is what has to be done. Numbers are those of the API.
type Kind uint8

// The kinds of entries.
const (
	Distribute   Kind = store.TodoDistribute   // 待分发
	Pair         Kind = store.TodoPair         // 待配对
	Answer       Kind = store.TodoAnswer       // 待核实反馈
	Offer        Kind = 4                      // 待告知: one entry for an office's round
	ReadAnswer   Kind = store.TodoReadAnswer   // 待阅: an answer
	ReadFeedback Kind = store.TodoReadFeedback // 待阅: feedback
	Correction   Kind = store.TodoCorrection   // 更正: an answer was given to older fields
	Duplicate    Kind = 8                      // 疑似重复
	Approve      Kind = 9                      // 待审批
	Certificate  Kind = 10                     // 证明到期
	Reroute      Kind = store.TodoReroute      // 待改派
)

// Kinds lists every kind in the order of their numbers.
func Kinds() []Kind {
	return []Kind{Distribute, Pair, Answer, Offer, ReadAnswer, ReadFeedback, Correction, Duplicate, Approve, Certificate, Reroute}
}

// Known reports whether k is one of the kinds above.
func (k Kind) Known() bool { return k >= Distribute && k <= Reroute }

// limited reports whether entries of the kind are due at a time; the others wait
// without a limit and come after them.
func (k Kind) limited() bool {
	return k <= Offer || k == Certificate
}

// onCase reports whether entries of the kind are cases.
func (k Kind) onCase() bool { return k != Offer && k != Duplicate && k != Approve && k != Certificate }

// needs is the verb without which an entry of the kind is not shown: who may not
// do or read it has nothing to do with it.
func (k Kind) needs() access.Verb {
	switch k {
	case Distribute:
		return access.CaseRead
	case Offer:
		return access.ServiceRead
	case Duplicate, Certificate:
		return access.PersonSearch
	case Approve:
		return access.Approve
	}
	return access.CaseOpen // the clerk's: a distributor sees what waits for the county alone
}

// Entry is one line of the list.
type Entry struct {
	Kind        Kind
	Office      area.Key
	Case        cases.CaseID // zero: about none
	Etag        string       // of the case
	Subject     string       // masked: surname, birth year
	DueAt       time.Time    // zero: no limit
	Counterpart area.Key     // the other area of the case
	CaseKind    cases.Kind
	N           int64 // how many, where the entry stands for many
	More        bool  // more than N
	Refs        []string

	place store.TodoPlace
	who   [][16]byte
}

// Query of the list.
type Query struct {
	Office    area.Key // 0: all of the caller's
	Kinds     []Kind   // empty: all
	PageSize  int      // 1..MaxPage; 0: 50
	PageToken string
	Purpose   string
}

// MaxPage is the most entries of a page.
const MaxPage = 200

func (q *Query) check() error {
	switch {
	case q.PageSize < 0 || q.PageSize > MaxPage:
		return fault.Invalid("PAGE_SIZE", "page of %d, at most %d", q.PageSize, MaxPage).Zh("每页最多 %d 条", MaxPage).On("page_size")
	case q.PageSize == 0:
		q.PageSize = 50
	}
	for _, k := range q.Kinds {
		if !k.Known() {
			return fault.Invalid("TODO_KIND", "unknown kind %d", k).Zh("待办类型不正确").On("kinds")
		}
	}
	if len(q.Kinds) == 0 {
		q.Kinds = Kinds()
	}
	return nil
}
