package cli

import (
	"context"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

// PersonDuplicatesCommand lists files that may be of one person.
type PersonDuplicatesCommand struct {
	Office    string `help:"单位；不写则为全部所属单位|Office; else all of yours"`
	Limit     int32  `default:"50" help:"每页条数，最多 200|Lines of a page, at most 200"`
	PageToken string `placeholder:"TOKEN" help:"从上一页给出的位置继续|Go on from where the page before ended"`
	Purposed
}

// Run lists one page of proposals, oldest first.
func (c *PersonDuplicatesCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.ListDuplicates(ctx, &ledgerv1.ListDuplicatesRequest{Office: c.Office, PageSize: c.Limit, PageToken: c.PageToken, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	if len(resp.GetDuplicates()) == 0 {
		e.say("没有疑似重复的档案", "No files that may be of one person")
		return nil
	}
	t := &table{head: []string{e.T("档案甲", "FILE A"), e.T("姓名", "NAME"), e.T("证件", "DOCUMENT"), e.T("档案乙", "FILE B"), e.T("姓名", "NAME"),
		e.T("证件", "DOCUMENT"), e.T("相似度", "SCORE"), e.T("理由", "REASONS"), e.T("提出时间", "SINCE")}, right: map[int]bool{6: true}}
	for _, d := range resp.GetDuplicates() {
		a, b := d.GetA(), d.GetB()
		t.add(a.GetPersonId(), a.GetName(), a.GetDocument(), b.GetPersonId(), b.GetName(), b.GetDocument(), itoa(int64(d.GetScore())), e.reasons(d.GetReasons()), when(d.GetAt()))
	}
	if err := t.write(e.Out); err != nil {
		return err
	}
	if next := resp.GetNextPageToken(); next != "" {
		e.Note("还有下一页：--page-token %s", "There are more: go on with --page-token %s", next)
	}
	return nil
}

// PersonMergeCommand merges two files.
type PersonMergeCommand struct {
	Person string `arg:"" help:"保留的档案（人员编号）|The file that stays"`
	Other  string `arg:"" help:"并入的档案（人员编号）|The file that is shown with it"`
	Reason string `required:"" help:"原因（不写个人信息）|Why, without personal data"`
	Write
}

// Run merges the files.
func (c *PersonMergeCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.MergePersons(ctx, &ledgerv1.MergePersonsRequest{RequestId: c.id(), PersonId: c.Person, OtherId: c.Other, Reason: c.Reason})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("已合并：%s 现与 %s 一并显示；需要时可用 yipan person unmerge 撤销", "Merged: %s is shown with %s from now on; yipan person unmerge undoes it", c.Other, resp.GetPerson().GetPersonId())
	return nil
}

// PersonUnmergeCommand undoes a merge.
type PersonUnmergeCommand struct {
	Person string `arg:"" help:"曾并入他档的档案（人员编号）|The file that was merged into another"`
	Reason string `required:"" help:"原因（不写个人信息）|Why, without personal data"`
	Write
}

// Run undoes the merge.
func (c *PersonUnmergeCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.UnmergePerson(ctx, &ledgerv1.UnmergePersonRequest{RequestId: c.id(), PersonId: c.Person, Reason: c.Reason})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("已撤销合并：%s 恢复为独立档案", "Undone: %s is a file of its own again", resp.GetPerson().GetPersonId())
	return nil
}

// PersonDismissCommand says that two files are of two persons.
type PersonDismissCommand struct {
	Person string `arg:"" help:"一份档案（人员编号）|One file"`
	Other  string `arg:"" help:"另一份档案（人员编号）|The other"`
	Write
}

// Run dismisses the proposal.
func (c *PersonDismissCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.DismissDuplicate(ctx, &ledgerv1.DismissDuplicateRequest{RequestId: c.id(), PersonId: c.Person, OtherId: c.Other})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("已确认是两个人，不再提示", "They are two persons; they are not proposed again")
	return nil
}
