package cli

import (
	"strings"
	"testing"
	"unicode"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// What the grammar refuses is said in Chinese, without placeholders of types.
func TestUsageTexts(t *testing.T) {
	s := newScripted(t)
	for _, tt := range []struct{ args, want string }{
		{"person merge a b", "错误：缺少选项：--reason（原因）"},
		{"person restrict a", "错误：缺少选项：--keeper（可查看的两名经办人）"},
		{"move list", "错误：缺少 “<人员编号>”"},
		{"move list a b", "错误：不认识的参数 b"},
		{"move on --person --day 2026-11-01", "错误：--person：应有文字，而不是 “--day”：这个选项后面要写内容"},
		{"person add --name x --sex x", "错误：--sex：应为不小于 0 的整数，而不是 “x”"},
		{"person slip a --recognised-by x", "错误：--recognised-by 只能是以下之一：“document”、“known”，而不是 “x”"},
		{"person search --name a --phone b", "错误：--name 与 --phone 不能同时使用"},
		{"case lsit", "错误：不认识的参数 lsit，是不是 “list”？"},
		{"move", "错误：请写明命令：“leave”、“arrive”、“on”、“return”、“transfer”等"},
		{"person edit " + personA + " --clear x", "错误：--clear 只能是：former_names（曾用名）、documents（证件）"},
		{"consent record --person " + personA + " --purpose x", "错误：--purpose 只能是：birth_service（生育服务）、confirm_residence（确认去向）"},
		{"case accept x --from /nonexistent/y", "错误：无法打开 /nonexistent/y：没有这个文件"},
	} {
		got := s.run(t, "", strings.Fields(tt.args)...)
		if said, _, _ := strings.Cut(got.err, "\n"); got.code != ExitUsage || !strings.HasPrefix(said, tt.want) {
			t.Errorf("%s: exit %d, %q, want %q", tt.args, got.code, said, tt.want)
		}
	}
	help := s.run(t, "", "move", "leave", "--help").out
	for _, line := range strings.Split(help, "\n") {
		if _, after, ok := strings.Cut(line, "="); ok && unicode.IsUpper([]rune(after)[0]) {
			t.Errorf("a placeholder is English: %s", line)
		}
	}
	if !strings.Contains(help, "--document=文字") || !strings.Contains(help, "--person=编号") {
		t.Errorf("help: %s", help)
	}
}

func TestFieldWord(t *testing.T) {
	for path, want := range map[string]string{
		"profile.documents[0].number": "第 1 个证件的号码", "movement.event_date": "发生日期", "service.referral.to": "转介的去向",
		"movement.basis.consent_id": "依据的同意书编号", "bus.ca_file": "bus.ca_file", "movement": "movement", "": "",
	} {
		if got := fieldWord(path, Chinese); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		if got := fieldWord(path, English); got != path {
			t.Errorf("%s in English: %q", path, got)
		}
	}
}

// What waits is listed unless something else is asked for.
func TestListWaiting(t *testing.T) {
	for _, tt := range []struct {
		c    CaseListCommand
		want int
	}{
		{CaseListCommand{}, 1}, {CaseListCommand{All: true}, 0}, {CaseListCommand{State: []string{"closed", "answered"}}, 2},
	} {
		req, err := tt.c.request(&Env{})
		if err != nil || len(req.GetStates()) != tt.want || tt.want == 1 && req.GetStates()[0] != casesv1.State_STATE_OPEN {
			t.Errorf("%+v: %v, %v", tt.c, req, err)
		}
	}
}
