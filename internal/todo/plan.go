package todo

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/ident"
	"yipan/internal/people"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// work is a plan in the making.
type work struct {
	action  Action
	office  area.Key
	sides   []store.Side // one for each case that was found
	fields  map[cases.CaseID]*cases.Fields
	planned []Planned
	steps   []step
	who     [][16]byte // whom the preview shows
}

// work finds the cases that a request names, or the first that its action fits.
func (t *Todo) work(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, r PreviewRequest) (*work, error) {
	w := &work{action: r.Action, office: office}
	var err error
	if len(r.Cases) == 0 {
		parts := make([]store.TodoPart, 0, 4)
		for _, k := range r.Action.kinds() {
			parts = append(parts, store.TodoPart{Office: office, Kind: int16(k)})
		}
		w.sides, err = tx.TodoSides(ctx, parts, usher.MaxBatch)
	} else {
		w.sides, err = tx.SidesOf(ctx, r.Cases)
	}
	if err != nil {
		return nil, err
	}
	w.sides = slices.DeleteFunc(w.sides, func(s store.Side) bool { return s.Office != office || !desk.Visible(p, &s) })
	ids := make([]cases.CaseID, len(w.sides))
	for i := range w.sides {
		ids[i] = w.sides[i].Case
		w.who = append(w.who, desk.SubjectOf(&w.sides[i]))
	}
	if w.fields, err = t.subjects(ctx, tx, ids); err != nil {
		return nil, err
	}
	for i, id := range r.Cases {
		if !slices.Contains(ids, id) && !slices.Contains(r.Cases[:i], id) {
			w.planned = append(w.planned, Planned{Case: id, LeftOut: "没有找到该案件，或您无权查看"})
		}
	}
	return w, nil
}

// decide says of each case what happens, or why nothing does.
func (t *Todo) decide(ctx context.Context, tx *store.Tx, w *work) error {
	var found []match
	if w.action == PairCertain {
		var err error
		if found, err = t.matches(ctx, tx, w); err != nil {
			return err
		}
	}
	for i := range w.sides {
		s := &w.sides[i]
		f := w.fields[s.Case]
		if !s.ErasedAt.IsZero() {
			f = nil
		}
		st := step{Case: s.Case, Etag: book.Etag(s.Version, s.Rev)}
		line := Planned{Case: s.Case, Etag: st.Etag, Subject: desk.Mask(f)}
		switch w.action {
		case Acknowledge:
			st.Before = desk.Seen{At: s.SeenAt, Feedback: s.SeenFeedback}
			line.Change, line.LeftOut = acknowledging(s)
		case PairCertain:
			st.Person = found[i].person
			line.Change, line.LeftOut = found[i].change, found[i].leftOut
		case DistributeTo:
			st.Township, line.Change, line.LeftOut = t.township(w.office, s, f)
		}
		w.planned = append(w.planned, line)
		if line.LeftOut == "" {
			w.steps = append(w.steps, st)
		}
	}
	return nil
}

func acknowledging(s *store.Side) (change, leftOut string) {
	switch Kind(s.Todo) {
	case ReadAnswer:
		return "答复标记为已阅", ""
	case Correction:
		return "按旧信息作出的答复标记为已阅", ""
	case Reroute:
		return "需人工改派的答复标记为已阅（不再提示改派）", ""
	case ReadFeedback:
		return "新到的反馈（三查反馈或更改后的答复）标记为已阅", ""
	}
	return "", "没有待阅的答复或反馈"
}

// township reads from a notice's own address where it belongs.
func (t *Todo) township(office area.Key, s *store.Side, f *cases.Fields) (to area.Key, change, leftOut string) {
	if Kind(s.Todo) != Distribute {
		return 0, "", "不在待分发之列（已分发或已办结）"
	}
	if f == nil {
		return 0, "", "人员信息已删除"
	}
	to = f.Place.Cut(area.Township)
	info, ok := area.Lookup(to)
	switch {
	case f.Place == 0 || to.Level() != area.Township || !ok:
		return 0, "", "通报地址未写明乡镇（街道），请人工分发"
	case !to.Within(office):
		return 0, "", "通报地址不在本辖区内，请人工核对"
	case !t.Book.IsHome(to):
		return 0, "", "该乡镇（街道）由其他节点办理，请人工处理"
	}
	return to, "分发给" + info.Name, ""
}

// match is whom a notice is about in the ledger.
type match struct {
	person          cases.PersonID
	change, leftOut string
}

// matches finds for each notice the person who has its document and its name;
// anything less is for a clerk to decide, one by one.
func (t *Todo) matches(ctx context.Context, tx *store.Tx, w *work) ([]match, error) {
	out := make([]match, len(w.sides))
	var refs []people.Ref
	var at []int
	for i := range w.sides {
		s := &w.sides[i]
		f := w.fields[s.Case]
		switch {
		case Kind(s.Todo) != Pair:
			out[i].leftOut = "不在待配对之列（已配对、已答复或未分发）"
			continue
		case f == nil || !s.ErasedAt.IsZero():
			out[i].leftOut = "人员信息已删除"
			continue
		}
		doc, _, err := ident.Parse(ident.Kind(f.DocumentKind), f.DocumentNumber)
		if err != nil || doc.Number == "" {
			out[i].leftOut = "通报没有可核对的证件号码，请逐件配对"
			continue
		}
		refs, at = append(refs, people.Ref{Office: s.Office, Doc: doc, Fields: f}), append(at, i)
	}
	ids, _, err := t.People.Find(ctx, tx, refs)
	if err != nil {
		return nil, err
	}
	rows, err := tx.PersonsByID(ctx, slices.DeleteFunc(slices.Clone(ids), cases.PersonID.IsZero))
	if err != nil {
		return nil, err
	}
	byID := map[cases.PersonID]*store.PersonRow{}
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
		w.who = append(w.who, rows[i].ID)
	}
	for n, i := range at {
		p, m := byID[ids[n]], &out[i]
		switch {
		case p == nil:
			m.leftOut = "本地台帐中没有此证件的人员，请逐件办理"
		case ident.NormalizeName(p.Name) != ident.NormalizeName(refs[n].Fields.Name):
			m.leftOut = "证件号码相同但姓名不一致，请逐件核对"
		case !p.MergedInto.IsZero():
			m.leftOut = "该人员的档案已并入另一档案，请逐件配对"
		default:
			m.person = p.ID
			m.change = "与本地台帐中证件和姓名都一致的" + desk.MaskName(p.Name, p.Birth) + "配对"
		}
	}
	return out, nil
}
