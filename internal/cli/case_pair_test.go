package cli

import (
	"context"
	"strings"
	"testing"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

func (s *scripted) ListCandidates(_ context.Context, r *casesv1.ListCandidatesRequest) (*casesv1.ListCandidatesResponse, error) {
	if r.GetCaseId() == caseB {
		return &casesv1.ListCandidatesResponse{}, nil
	}
	return &casesv1.ListCandidatesResponse{Candidates: []*casesv1.Candidate{
		{PersonId: caseA, Name: "测试甲", BirthYear: 1990, Document: "5********X", Score: 100, Reasons: []string{"document_equal", "name_equal"}, Certain: true},
		{PersonId: caseB, Name: "示例乙", Score: 35, Reasons: []string{"birth_equal", "unheard_of"}},
	}}, nil
}

func (s *scripted) UnpairCase(_ context.Context, r *casesv1.UnpairCaseRequest) (*casesv1.UnpairCaseResponse, error) {
	return &casesv1.UnpairCaseResponse{Case: sample(r.GetRef().GetCaseId())}, nil
}

func TestCandidates(t *testing.T) {
	s := newScripted(t)
	for _, tt := range []struct{ args, want string }{
		{"case candidates " + caseA + " --purpose test", `人员                              姓名    出生年  证件        相似度  理由                      可自动配对
0123456789abcdef0123456789abcdef  测试甲  1990    5********X     100  证件号码相同；姓名相同    是
fedcba9876543210fedcba9876543210  示例乙                          35  出生日期相同；unheard_of
`},
		{"case candidates " + caseA + " --lang en", `PERSON                            NAME    BORN  DOCUMENT    SCORE  REASONS                    CERTAIN
0123456789abcdef0123456789abcdef  测试甲  1990  5********X    100  document_equal name_equal  yes
fedcba9876543210fedcba9876543210  示例乙                       35  birth_equal unheard_of
`},
		{"case candidates " + caseB, "本地台帐中没有相近的人员\n"},
	} {
		got := s.run(t, "", strings.Fields(tt.args)...)
		if got.code != ExitOK || got.out != tt.want {
			t.Errorf("%s: exit %d, %s\n%s", tt.args, got.code, got.err, got.out)
		}
	}
	if r := last[*casesv1.ListCandidatesRequest](t, s); r.GetCaseId() != caseB {
		t.Errorf("asked about %s", r.GetCaseId())
	}
	got := s.run(t, "", "case", "unpair", caseA+"@e1", "--request-id", "request-1")
	if got.code != ExitOK || !strings.HasPrefix(got.out, "已撤销配对") {
		t.Errorf("unpair: exit %d, %s%s", got.code, got.out, got.err)
	}
	if r := last[*casesv1.UnpairCaseRequest](t, s); r.GetRequestId() != "request-1" || r.GetRef().GetCaseId() != caseA || r.GetRef().GetEtag() != "e1" {
		t.Errorf("asked to unpair %v", r)
	}
}
