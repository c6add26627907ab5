package cli

import (
	"context"
	"strings"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
	"yipan/internal/match"
)

// CasePairCommand pairs a notice with a person.
type CasePairCommand struct {
	Ref
	Person string `placeholder:"ID" help:"台帐中的人员编号；不写则由系统按证件和姓名确定，没有相近的人则新登记|Person of the ledger; else whoever is beyond doubt, registered where nobody is alike"`
	Write
}

// Run pairs the notice.
func (c *CasePairCommand) Run(ctx context.Context, e *Env) error {
	ref, err := c.resolve(ctx, e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.PairCase(ctx, &casesv1.PairCaseRequest{RequestId: c.id(), Ref: ref, PersonId: c.Person})
	if err == nil && !e.JSON {
		e.warn(resp.GetWarnings())
		if resp.GetRegistered() {
			e.say("已按通报新登记：%s", "Registered from the notice: %s", resp.GetPersonId())
		} else {
			e.say("已配对：%s", "Paired: %s", resp.GetPersonId())
		}
	}
	return show(e, &c.Write, resp, err)
}

// CaseUnpairCommand undoes a pairing.
type CaseUnpairCommand struct {
	Ref
	Write
}

// Run undoes the pairing.
func (c *CaseUnpairCommand) Run(ctx context.Context, e *Env) error {
	ref, err := c.resolve(ctx, e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.UnpairCase(ctx, &casesv1.UnpairCaseRequest{RequestId: c.id(), Ref: ref})
	if err == nil && !e.JSON {
		e.say("已撤销配对；台帐中的人员保留", "The pairing is undone; the person stays in the ledger")
	}
	return show(e, &c.Write, resp, err)
}

// CaseCandidatesCommand lists whom a notice may be about.
type CaseCandidatesCommand struct {
	Case string `arg:"" help:"案件编号|Case id"`
	Purposed
}

// Run lists the candidates, the best first.
func (c *CaseCandidatesCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.ListCandidates(ctx, &casesv1.ListCandidatesRequest{CaseId: c.Case, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	if e.JSON {
		return lines(e, resp.GetCandidates())
	}
	if len(resp.GetCandidates()) == 0 {
		e.say("本地台帐中没有相近的人员", "Nobody in the ledger is alike")
		return nil
	}
	t := &table{head: []string{e.T("人员", "PERSON"), e.T("姓名", "NAME"), e.T("出生年", "BORN"), e.T("证件", "DOCUMENT"),
		e.T("相似度", "SCORE"), e.T("理由", "REASONS"), e.T("可自动配对", "CERTAIN")}, right: map[int]bool{4: true}}
	for _, p := range resp.GetCandidates() {
		t.add(p.GetPersonId(), p.GetName(), year(p.GetBirthYear()), p.GetDocument(), itoa(int64(p.GetScore())), e.reasons(p.GetReasons()), e.yes(p.GetCertain()))
	}
	return t.write(e.Out)
}

func year(y int32) string {
	if y == 0 {
		return ""
	}
	return itoa(int64(y))
}

// reasons are reasons of a match in the language of the command.
func (e *Env) reasons(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = e.T(match.ZhOf(n), n)
	}
	return strings.Join(out, e.T("；", " "))
}

func (e *Env) yes(b bool) string {
	if b {
		return e.T("是", "yes")
	}
	return ""
}
