package cli

import (
	"context"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// CaseOpenCommand opens one case.
type CaseOpenCommand struct {
	From        string `placeholder:"FILE" help:"从 JSON 文件读取整个请求（- 为标准输入），免得个人信息留在命令历史里|Read the whole request from JSON (- is standard input), so that no person stays in the shell's history"`
	Kind        string `help:"类型：outflow、inflow、assist、certificate、birth|Kind: outflow, inflow, assist, certificate, birth"`
	Origin      string `help:"开立单位的区划|Opening office's area"`
	Destination string `help:"对方区划（地级及以下）|Area addressed, prefecture or below"`
	FieldFlags
	Urgent              bool   `help:"协查：本人要求加急|Assistance: the person asked urgently"`
	CertificateAskedOn  string `placeholder:"2006-01-02" help:"申请婚育证明之日（只留在本单位）|Day a certificate was asked for (stays here)"`
	CertificateIssuedOn string `placeholder:"2006-01-02" help:"发给婚育证明之日（只留在本单位）|Day it was issued (stays here)"`
	ApprovalID          string `help:"另一位经办人的审批编号（12 个月内第四个去向时需要）|Approval of a second user, for a fourth destination in 12 months"`
	Write
}

// Run opens the case.
func (c *CaseOpenCommand) Run(ctx context.Context, e *Env) error {
	req, err := c.request(e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.OpenCase(ctx, req)
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.warn(resp.GetWarnings())
	return e.showCase(resp.GetCase())
}

func (c *CaseOpenCommand) request(e *Env) (*casesv1.OpenCaseRequest, error) {
	if c.From != "" {
		if !c.empty() || c.Kind != "" || c.Destination != "" || c.ApprovalID != "" {
			return nil, usage(e, "--from 不能与其他内容选项同时使用", "--from takes no other content flags beside it")
		}
		req := &casesv1.OpenCaseRequest{}
		if err := e.message(c.From, req); err != nil {
			return nil, err
		}
		if c.RequestID == "" {
			c.RequestID = req.GetRequestId()
		}
		req.RequestId = c.id()
		return req, nil
	}
	if c.Kind == "" || c.Destination == "" {
		return nil, usage(e, "缺少 --kind 或 --destination（或用 --from）", "--kind and --destination are missing (or --from)")
	}
	kind, err := kinds.pick(e, "--kind", c.Kind)
	if err != nil {
		return nil, err
	}
	fields, err := c.message(e)
	if err != nil {
		return nil, err
	}
	return &casesv1.OpenCaseRequest{
		RequestId: c.id(), Kind: kind, Origin: c.Origin, Destination: c.Destination, Fields: fields, Urgent: c.Urgent,
		CertificateAskedOn: c.CertificateAskedOn, CertificateIssuedOn: c.CertificateIssuedOn, ApprovalId: c.ApprovalID,
	}, nil
}

// CaseCorrectCommand replaces the fields of a case.
type CaseCorrectCommand struct {
	Ref
	From string `placeholder:"FILE" help:"从 JSON 文件读取全部字段（- 为标准输入）|Read all fields from JSON (- is standard input)"`
	FieldFlags
	Write
}

// Run corrects the case.
func (c *CaseCorrectCommand) Run(ctx context.Context, e *Env) error {
	fields := &casesv1.Fields{}
	switch {
	case c.From != "" && !c.empty():
		return usage(e, "--from 不能与其他内容选项同时使用", "--from takes no other content flags beside it")
	case c.From != "":
		if err := e.message(c.From, fields); err != nil {
			return err
		}
	case c.empty():
		return usage(e, "没有写明任何字段", "no field is given")
	default:
		var err error
		if fields, err = c.message(e); err != nil {
			return err
		}
	}
	ref, err := c.resolve(ctx, e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.CorrectCase(ctx, &casesv1.CorrectCaseRequest{RequestId: c.id(), Ref: ref, Fields: fields})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.warn(resp.GetWarnings())
	return e.showCase(resp.GetCase())
}
